/**
 * Latency of the steps of computing an embedding, and memory use of the two towers.
 *
 *     npx tsx bench/encode.ts MODEL_DIR [fp32|fp16|q8]
 *
 * Prints the median, fastest and slowest run in milliseconds, measured in one process on an idle machine.
 */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { createImageEncoder } from '../lib/clip/image-encoder.ts';
import { clipDtypes } from '../lib/clip/model-files.ts';
import { createTextEncoder } from '../lib/clip/text-encoder.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const [modelDir, asked] = positionals;
const dtype = clipDtypes.find((known) => known === asked);
if (modelDir === undefined || (asked !== undefined && dtype === undefined)) {
  console.error(`usage: npx tsx bench/encode.ts MODEL_DIR [${clipDtypes.join('|')}]`);
  process.exit(2);
}

/** A synthetic photo: gradients, edges and grain from a fixed seed. */
async function photo(width: number, height: number, grain: number): Promise<Buffer> {
  let state = 1;
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const disc = Math.hypot(x / width - 0.5, y / height - 0.4) < 0.2 ? 60 : 0;
        const shade = 40 + 110 * (channel === 1 ? x / width : y / height) + disc;
        pixels[at++] = Math.max(0, Math.min(255, shade + grain * (state / 2 ** 32 - 0.5)));
      }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
}

async function measure(name: string, run: () => Promise<unknown>, times = 30): Promise<void> {
  for (let warm = 0; warm < 3; warm++) await run();
  const runs: number[] = [];
  for (let i = 0; i < times; i++) runs.push((await timed(run))[1]);
  runs.sort((a, b) => a - b);
  const at = (share: number) => (runs[Math.floor(share * (runs.length - 1))] ?? NaN).toFixed(1);
  console.log(`${name.padEnd(38)} ${at(0.5).padStart(7)} ms   (${at(0)} to ${at(1)})`);
}

const resident = (when: string) => {
  console.log(
    `${when.padEnd(38)} ${(process.memoryUsage().rss / 1e6).toFixed(0).padStart(7)} MB resident`,
  );
};

console.log(
  `Node ${process.version}, sharp ${sharp.versions.sharp}, ${cpus()[0]?.model ?? 'CPU'} x ${String(availableParallelism())}, load ${(loadavg()[0] ?? 0).toFixed(2)}`,
);
const square = await photo(640, 640, 20);
const large = await photo(4000, 3000, 20);
console.log(
  `pictures: 640x640 of ${String(square.length)} bytes, 4000x3000 of ${String(large.length)} bytes`,
);
resident('before any model');

const options = { modelDir, ...(dtype && { dtype }) };
const [images, imageLoad] = await timed(() => createImageEncoder(options));
console.log(`image tower (${images.dtype}) loaded in ${imageLoad.toFixed(0)} ms`);
resident('with the image tower');
const [texts, textLoad] = await timed(() => createTextEncoder(options));
console.log(`text tower (${texts.dtype}) and tokenizer loaded in ${textLoad.toFixed(0)} ms`);
resident('with both towers');

const pixels = await images.preprocess(square);
const words = 'a red circle on a dark background';
await measure('decode and pre-process 640x640', () => images.preprocess(square));
await measure('decode and pre-process 12 megapixels', () => images.preprocess(large));
await measure('embed one picture', () => images.embed(pixels));
await measure(
  'embed eight at once',
  () => images.embedBatch(Array.from({ length: 8 }, () => pixels)),
  10,
);
await measure('encode 640x640', () => images.encode(square));
await measure('encode 12 megapixels', () => images.encode(large));
await measure(`tokenise ${String(texts.tokenize(words).length)} tokens`, () =>
  Promise.resolve(texts.tokenize(words)),
);
await measure('encode a text', () => texts.encode(words));
await measure('four pictures at a time, 640x640', () =>
  Promise.all([1, 2, 3, 4].map(() => images.encode(square))),
);
resident('at the end');
