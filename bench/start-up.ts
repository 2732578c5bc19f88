// From process start to the first answered image search, and resident memory after some searches.
// usage: MODELS_DIR=… IMAGES_DIR=… CLIP_DTYPE=q8 npx tsx bench/start-up.ts [--n 5]
// The built server is started anew each time, with the environment as it is.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { machine, median, root } from './machine.ts';
import { photograph } from './pictures.ts';

const { values } = parseArgs({ options: { n: { type: 'string', default: '5' } } });
const picture = new Uint8Array(await photograph(640, 640));
const large = new Uint8Array(await photograph(4032, 3024));

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => {
        resolve(port);
      });
    });
  });

const search = async (base: string, body: Uint8Array<ArrayBuffer>) => {
  const response = await fetch(`${base}/api/search-by-image?k=10`, {
    method: 'POST',
    headers: { 'content-type': 'image/jpeg' },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
};

const residentMb = async (pid: number | undefined) => {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
};

const server = join(root, 'dist', 'functions', 'server.cjs');
const firstAnswer: number[] = [];
const resident: number[] = [];
for (let round = 0; round < Number(values.n); round += 1) {
  const port = await freePort();
  const base = `http://127.0.0.1:${String(port)}`;
  const start = performance.now();
  const child = spawn(process.execPath, [server], {
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (;;) {
    try {
      await search(base, picture);
      break;
    } catch (error) {
      if (performance.now() - start > 60_000) throw error;
      await sleep(10);
    }
  }
  firstAnswer.push(performance.now() - start);
  for (let i = 0; i < 20; i += 1) {
    await search(base, i % 4 === 0 ? large : picture);
    await (await fetch(`${base}/api/search-by-text?query=star`)).arrayBuffer();
  }
  resident.push(await residentMb(child.pid));
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
}
const list = (figures: number[], digits: number) =>
  figures.map((one) => one.toFixed(digits)).join(' ');
console.log(machine());
console.log(
  `first image search answered after ${median(firstAnswer).toFixed(0)} ms (${list(firstAnswer, 0)})`,
);
console.log(
  `resident after 20 image and 20 text searches: ${median(resident).toFixed(0)} MB (${list(resident, 0)})`,
);
