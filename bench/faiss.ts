// Latency of a search, and growth of resident memory over 100,000 searches.
// usage: npx tsx bench/faiss.ts [INDEX_FILE]        (default: 25,790 × 512 seeded vectors)
// Exits with status 1 if a limit is exceeded.
import { readFileSync } from 'node:fs';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import { machine, median, quantile } from './machine.ts';

/** The real catalog's size. */
const albums = 25_790;
/** Median of an unfiltered search for the ten nearest, in milliseconds. */
const limitMs = 5;
/** Growth over 100,000 searches, in bytes. */
const limitBytes = 20 * 2 ** 20;

let seed = 1;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647; // minimal standard generator

const unitVector = (dimension: number): Float32Array => {
  const vector = Float32Array.from({ length: dimension }, () => random() - 0.5);
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
};

const flatIndex = async (size: number, dimension: number) => {
  const index = await VectorIndex.create({ dimension, metric: 'inner_product' });
  for (let i = 0; i < size; i += 1) index.add(unitVector(dimension));
  return index;
};

const time = async (index: VectorIndex, k: number, rows?: Uint32Array) => {
  const taken: number[] = [];
  for (let i = 0; i < 220; i += 1) {
    const query = unitVector(index.dimension);
    const start = performance.now();
    await index.search(query, k, rows);
    if (i >= 20) taken.push(performance.now() - start);
  }
  return taken;
};

const residentBytes = () =>
  1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

/** Searches of every kind, including invalid ones. */
const searchAll = async (index: VectorIndex, queries: Float32Array[], searches: number) => {
  const rows = Uint32Array.from({ length: 100 }, (_, i) => i * 3);
  const outside = Uint32Array.of(index.size);
  for (let i = 0; i < searches; i += 1) {
    const query = queries[i % queries.length] ?? new Float32Array(index.dimension);
    if (i % 10 === 0) await index.search(query, 10, rows);
    else if (i % 101 === 0)
      try {
        await index.search(query, 10, outside);
        throw new Error('a row out of range was accepted');
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    else await index.search(query, 10);
  }
};

console.log(machine());
const [path] = process.argv.slice(2);
const index = path === undefined ? await flatIndex(albums, 512) : await VectorIndex.open(path);
console.log(`${String(index.size)} × ${String(index.dimension)}, ${index.type}, ${index.metric}`);
let missed = false;
const tenth = Uint32Array.from({ length: Math.floor(index.size / 10) }, (_, i) => i * 10);
for (const [name, k, rows, limit] of [
  ['k = 10', 10, undefined, limitMs],
  ['k = 50', 50, undefined, undefined],
  ['k = 10 among 10 % of the rows', 10, tenth, undefined],
  ['k = 10 among 3 rows', 10, Uint32Array.of(1, 2, 3), undefined],
] as const) {
  const taken = await time(index, k, rows);
  const over = limit !== undefined && median(taken) > limit;
  missed ||= over;
  console.log(
    `${name}: median ${median(taken).toFixed(2)} ms, p95 ${quantile(taken, 0.95).toFixed(2)} ms${limit === undefined ? '' : ` (limit ${String(limit)} ms${over ? ': MISSED' : ''})`}`,
  );
}

const small = await flatIndex(1000, 512);
const queries = Array.from({ length: 64 }, () => unitVector(512));
await searchAll(small, queries, 20_000);
const before = residentBytes();
await searchAll(small, queries, 100_000);
const grown = residentBytes() - before;
missed ||= grown >= limitBytes;
console.log(
  `resident memory grew by ${(grown / 2 ** 20).toFixed(1)} MB over 100,000 searches (limit 20 MB${grown >= limitBytes ? ': MISSED' : ''})`,
);
process.exitCode = missed ? 1 : 0;
