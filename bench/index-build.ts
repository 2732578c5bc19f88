/**
 * Covers per second of `index build`, compared with the bare model on preprocessed tensors.
 *
 *     npx tsx bench/index-build.ts MODEL_DIR [--dtype fp32|fp16|q8] [--covers 480] [--rounds 5]
 *
 * Both process the same covers of 640 x 640 pixels in batches of the same size, alternating in one process. Prints
 * medians, and the median of the per-round ratios. bench/full-build.ts measures memory.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createImageEncoder } from '../lib/clip/image-encoder.ts';
import { clipDtypes } from '../lib/clip/model-files.ts';
import { buildIndex } from '../pipeline/indexing/build-index.ts';
import { batchSize } from '../pipeline/indexing/embed-covers.ts';
import { coverName } from '../lib/assets/covers.ts';
import { machine, median } from './machine.ts';
import { photograph } from './pictures.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dtype: { type: 'string' },
    covers: { type: 'string', default: '480' },
    rounds: { type: 'string', default: '5' },
  },
});
const [modelDir] = positionals;
const dtype = clipDtypes.find((known) => known === values.dtype);
if (modelDir === undefined || (values.dtype !== undefined && dtype === undefined)) {
  console.error('usage: npx tsx bench/index-build.ts MODEL_DIR [--dtype fp32|fp16|q8]');
  process.exit(2);
}
const count = Math.max(3, Math.round(Number(values.covers) / batchSize)) * batchSize;

const folder = await mkdtemp(join(tmpdir(), 'bench-index-build-'));
const metadataPath = join(folder, 'albums.json');
const cover = await photograph(640, 640);
for (let id = 0; id < count; id += 1) await writeFile(join(folder, coverName(id)), cover);
await writeFile(
  metadataPath,
  JSON.stringify(Array.from({ length: count }, (_, id) => ({ local_id: id, artist: 'x' }))),
);

const encoder = await createImageEncoder({ modelDir, dtype });

/** Images per second of the model alone. */
async function bare(): Promise<number> {
  const tensors = await Promise.all(
    Array.from({ length: batchSize }, () => encoder.preprocess(cover)),
  );
  await encoder.embedBatch(tensors);
  const start = performance.now();
  for (let done = 0; done < count; done += batchSize) await encoder.embedBatch(tensors);
  return count / ((performance.now() - start) / 1000);
}

/** Images per second of a whole build after its first batch, so that loading the model is excluded. */
async function build(): Promise<number> {
  let [start, from] = [0, 0];
  let rate = NaN;
  const outDir = join(folder, 'out');
  for await (const event of buildIndex({
    ...{ metadataPath, imagesDir: folder, outDir },
    ...{ modelDir: modelDir ?? '', dtype },
  }))
    if (event.type === 'embedded') {
      if (start === 0) [start, from] = [performance.now(), event.done];
      rate = (event.done - from) / ((performance.now() - start) / 1000);
    }
  await rm(outDir, { recursive: true });
  return rate;
}

console.log(`${machine()}; ${encoder.dtype}, ${String(count)} covers of 640 x 640`);
await build();
const rounds: { bare: number; build: number }[] = [];
for (let round = 0; round < Number(values.rounds); round += 1)
  rounds.push({ bare: await bare(), build: await build() });
await rm(folder, { recursive: true });
const of = (pick: (round: { bare: number; build: number }) => number) => median(rounds.map(pick));
console.log(`bare model   ${of((round) => round.bare).toFixed(1)} images/s`);
console.log(`index build  ${of((round) => round.build).toFixed(1)} images/s`);
console.log(`ratio        ${(100 * of((round) => round.build / round.bare)).toFixed(0)} %`);
