/**
 * Builds the index of a whole catalog with the command-line program, kills it midway, resumes, and verifies the result.
 *
 *     npx tsx bench/full-build.ts --model DIR --metadata FILE --covers DIR [--dtype q8] [--kills 2] [--out DIR]
 *
 * The covers in the folder are repeated for all albums in the metadata. Prints images per second and resident
 * memory during the build (Linux), the file sizes, and the output of `verify`.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Catalog } from '../lib/catalog/catalog.ts';
import { coverName } from '../lib/assets/covers.ts';
import { machine, root } from './machine.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    metadata: { type: 'string' },
    covers: { type: 'string' },
    dtype: { type: 'string', default: 'q8' },
    kills: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const { model, metadata, covers, dtype } = values;
if (model === undefined || metadata === undefined || covers === undefined) {
  console.error('usage: npx tsx bench/full-build.ts --model DIR --metadata FILE --covers DIR');
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'bench-full-build-'));
const imagesDir = join(folder, 'images');
const outDir = values.out ?? join(folder, 'out');
await mkdir(imagesDir);
const catalog = await Catalog.open(metadata);
const names = (await readdir(covers)).filter((name) => name.endsWith('.jpg')).sort();
for (let row = 0; row < catalog.size; row += 1)
  await symlink(
    resolve(covers, names[row % names.length] ?? ''),
    join(imagesDir, coverName(catalog.atRow(row).id)),
  );
console.log(
  `${machine()}; ${dtype}, ${catalog.size.toLocaleString('en')} albums, ${String(names.length)} covers repeated`,
);

interface Progress {
  type: string;
  done?: number;
  total?: number;
}

/** Runs the build. @param until fraction of the covers after which it is killed */
async function build(until: number): Promise<number | null> {
  const args = ['index', 'build', '--images', imagesDir, '--metadata', metadata ?? ''];
  const child = spawn(
    process.execPath,
    [
      join(root, 'dist', 'cli', 'shazam-visual.cjs'),
      ...args,
      ...['--out', outDir, '--model', model ?? '', '--dtype', dtype, '--resume', '--json'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  let [start, from, next] = [0, 0, 0];
  for await (const line of createInterface({ input: child.stdout })) {
    const { type, done = 0, total = 1 } = JSON.parse(line) as Progress;
    if (type !== 'progress') {
      console.log(`  ${line.slice(0, 200)}`);
      continue;
    }
    if (start === 0) [start, from] = [performance.now(), done];
    const rate = (done - from) / ((performance.now() - start) / 1000);
    if (done / total >= next || done === total) {
      next = Math.floor((10 * done) / total) / 10 + 0.1;
      console.log(
        `  ${done.toLocaleString('en')} covers, ${rate.toFixed(1)} images/s, ${memoryOf(child.pid ?? 0)}`,
      );
    }
    if (done / total >= until && child.kill('SIGKILL')) console.log('  kill -9');
  }
  return ended;
}

/** Current and peak resident memory. */
function memoryOf(pid: number): string {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
    const of = (name: string) =>
      (Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? NaN) / 1024).toFixed(0);
    return `${of('VmRSS')} MB resident, ${of('VmHWM')} MB at most`;
  } catch {
    return 'memory not known here';
  }
}

const kills = Number(values.kills);
for (let i = 1; i <= kills; i += 1) await build(i / (kills + 1));
console.log(`ended with ${String(await build(2))}`);
for (const name of await readdir(outDir))
  console.log(`${name}: ${(await stat(join(outDir, name))).size.toLocaleString('en')} bytes`);
const start = performance.now();
const verify = spawn(
  process.execPath,
  [
    join(root, 'dist', 'cli', 'shazam-visual.cjs'),
    ...['verify', outDir, '--images', imagesDir, '--model', model, '--dtype', dtype],
  ],
  { stdio: ['ignore', 'inherit', 'ignore'] },
);
const status = await new Promise<number | null>((done) => verify.once('exit', done));
console.log(
  `verify ended with ${String(status)} after ${((performance.now() - start) / 1000).toFixed(0)} s`,
);
await rm(folder, { recursive: true });
