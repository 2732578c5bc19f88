// Memory growth over reloads: a server with N albums reloads its files repeatedly.
// usage: npx tsx bench/reload-memory.ts [albums] [reloads]
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { machine, root } from './machine.ts';
import { makeUpSet } from './made-up-set.ts';

const [albums, reloads] = [Number(process.argv[2] ?? 25_790), Number(process.argv[3] ?? 12)];
const folder = mkdtempSync(join(tmpdir(), 'reload-memory-'));
const starter = join(root, 'models', 'starter');
cpSync(starter, join(folder, 'clip'), {
  recursive: true,
  filter: (path) => !path.includes('catalog'),
});
await makeUpSet(folder, albums);

const server = spawn(process.execPath, [join(root, 'dist', 'functions', 'server.cjs')], {
  env: {
    PATH: process.env['PATH'],
    HOST: '127.0.0.1',
    PORT: '0',
    MODELS_DIR: folder,
    STARTER_DIR: starter,
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const until = async (msg: string): Promise<void> => {
  for (let line = await lines.next(); line.done !== true; line = await lines.next())
    if ((JSON.parse(line.value) as { msg: string }).msg === msg) return;
  throw new Error(`the server exited before logging "${msg}"`);
};
const rssMb = (): string => {
  const status = readFileSync(`/proc/${String(server.pid)}/status`, 'utf8');
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024).toFixed(0);
};
await until('ready');
console.log(
  `${machine()}; ${albums.toLocaleString('en')} albums\nresident after the start: ${rssMb()} MB`,
);
for (let i = 1; i <= reloads; i += 1) {
  server.kill('SIGHUP');
  await until('serving the new files');
  await sleep(200);
  console.log(`after reload ${String(i)}: ${rssMb()} MB`);
}
server.kill();
rmSync(folder, { recursive: true });
