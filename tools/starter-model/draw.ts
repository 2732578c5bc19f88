/**
 * Draws the training covers of the starter model: with other seeds than the starter set's, and random compositions.
 *
 *     npx tsx tools/starter-model/draw.ts FOLDER [COUNT]
 *
 * Writes `covers.rgb` (COUNT x 192 x 192 x 3 bytes) and `covers.jsonl` (one line of tags per cover), and the
 * starter set itself as `starter.rgb` and `starter.jsonl`, which training only uses for monitoring.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { drawCover, type CoverSpec } from '../starter-set/covers.ts';
import { starterAlbums } from '../starter-set/starter-albums.ts';
import { trainingSpecs } from './training-covers.ts';

const edge = 192;
const workers = 2;

async function rgbOf(spec: CoverSpec): Promise<Buffer> {
  // Drawn at twice the size and scaled down, to look like a photo of a printed cover.
  return sharp(Buffer.from(drawCover(spec)), { density: (72 * 2 * edge) / 640 })
    .resize(edge, edge, { fit: 'fill' })
    .flatten()
    .removeAlpha()
    .raw()
    .toBuffer();
}

/** Draws every `workers`-th cover from `first` on, and writes each at its offset in the file. */
async function draw(specs: readonly CoverSpec[], path: string, first: number): Promise<void> {
  const file = await open(path, 'r+');
  const frame = edge * edge * 3;
  for (let at = first; at < specs.length; at += workers) {
    const spec = specs[at];
    if (spec) await file.write(await rgbOf(spec), 0, frame, at * frame);
  }
  await file.close();
}

const sets = (count: number): { name: string; specs: CoverSpec[] }[] => [
  { name: 'starter', specs: starterAlbums().map(({ spec }) => spec) },
  { name: 'covers', specs: trainingSpecs(count) },
];

async function main(): Promise<void> {
  const [folder, countText = '24000', worker] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: npx tsx draw.ts FOLDER [COUNT]');
  const count = Number(countText);
  const all = sets(count);
  if (worker !== undefined) {
    sharp.concurrency(1);
    for (const { name, specs } of all)
      await draw(specs, join(folder, `${name}.rgb`), Number(worker));
    return;
  }
  await mkdir(folder, { recursive: true });
  for (const { name, specs } of all) {
    await writeFile(join(folder, `${name}.rgb`), '');
    await writeFile(
      join(folder, `${name}.jsonl`),
      specs.map(({ tags }) => `${JSON.stringify(tags)}\n`).join(''),
    );
  }
  const started = performance.now();
  const children = Array.from({ length: workers }, (_, i) =>
    fork(fileURLToPath(import.meta.url), [folder, countText, String(i)]),
  );
  const codes = await Promise.all(children.map((child) => once(child, 'exit')));
  if (codes.some(([code]) => code !== 0)) throw new Error('A worker failed.');
  const seconds = (performance.now() - started) / 1000;
  console.log(`${countText} covers in ${seconds.toFixed(0)} s`);
}

await main();
