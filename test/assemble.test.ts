import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readManifestFile, type Manifest } from '../lib/assets/manifest.ts';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import {
  assembleIndex,
  typesFor,
  type AssembleEvent,
  type AssembleOptions,
} from '../pipeline/indexing/assemble.ts';
import { ExactNearest } from '../pipeline/indexing/exact-nearest.ts';
import { readFlatIndex } from '../pipeline/indexing/flat-file.ts';
import { Random } from '../tools/starter-set/random.ts';

const dimension = 64;
const size = 3000;
const random = new Random(7);
/** Unit vectors in loose groups. */
const vectors = unit(
  Float32Array.from(
    { length: size * dimension },
    (_, i) => Math.sin((Math.floor(i / dimension) % 40) * 7.7 + (i % dimension)) + random.next(),
  ),
);

function unit(all: Float32Array): Float32Array {
  for (let at = 0; at < all.length; at += dimension) {
    const vector = all.subarray(at, at + dimension);
    const length = Math.hypot(...vector);
    for (let j = 0; j < dimension; j += 1) vector[j] = (vector[j] ?? 0) / length;
  }
  return all;
}

/** In blocks of no round number. */
// eslint-disable-next-line @typescript-eslint/require-await -- read like the vectors of a file
async function* blocks(all = vectors): AsyncGenerator<Float32Array> {
  for (let at = 0; at < all.length; at += 701 * dimension)
    yield all.slice(at, at + 701 * dimension);
}

let folder = '';
before(async () => (folder = await mkdtemp(join(tmpdir(), 'assemble-'))));
after(() => rm(folder, { recursive: true }));

async function assemble(name: string, options: Partial<AssembleOptions> = {}) {
  const path = join(folder, name);
  const events: AssembleEvent[] = [];
  const building = assembleIndex(path, {
    ...{ vectors: () => blocks(), dimension, size, type: 'auto', ...options },
  });
  let step = await building.next();
  for (; step.done !== true; step = await building.next()) events.push(step.value);
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  return { path, events, about: step.value, sha256 };
}

test('auto takes Flat up to 100,000 vectors, then an inverted file of about 4√n cells', () => {
  const types = (size: number) => typesFor('auto', { size, dimension: 512 });
  assert.deepEqual(types(25_790), ['Flat']);
  assert.deepEqual(types(100_000), ['Flat']);
  assert.deepEqual(types(100_001), ['PCA128,IVF1024,SQ8,Refine(SQfp16)', 'IVF1024,Flat']);
  assert.deepEqual(types(1_000_000), ['PCA128,IVF4096,SQ8,Refine(SQfp16)', 'IVF4096,Flat']);
  assert.deepEqual(types(10_000_000), ['PCA128,IVF16384,SQ8,Refine(SQfp16)', 'IVF16384,Flat']);
  assert.deepEqual(typesFor('SQ8', { size: 1_000_000, dimension: 512 }), ['SQ8']);
});

describe('auto', () => {
  test('writes the same file as Flat for few vectors', async () => {
    const few = await assemble('few', { flatUpTo: size });
    assert.equal(few.sha256, (await assemble('flat', { type: 'Flat' })).sha256);
    assert.deepEqual(few.about, {
      ...{ type: 'Flat', metric: 'inner_product', dimension, vectors: size },
    });
    const read: number[] = [];
    for await (const block of readFlatIndex(few.path)) read.push(...block);
    assert.deepEqual(Float32Array.from(read), vectors);
  });

  test('writes an inverted file for many, with the probes that recall requires', async () => {
    const { path, about, events } = await assemble('many', { flatUpTo: size - 1 });
    assert.match(about.type, /^IVF256,(SQ8|Flat)$/); // codes may be too coarse for these
    assert.ok(about.recallAt10 !== undefined && about.recallAt10 >= 0.99, JSON.stringify(about));
    const index = await VectorIndex.open(path);
    assert.equal(index.size, size);
    assert.deepEqual(about.search, { probes: index.probes });
    const measured = events.at(-1);
    assert.ok(measured?.type === 'measured');
    assert.equal(measured.bytes, (await readFile(path)).length);
    assert.equal(measured.recallAt10, about.recallAt10);
    assert.deepEqual(
      [...new Set(events.flatMap((event) => (event.type === 'indexed' ? [event.done] : [])))],
      [3000],
    );
  });

  test('writes the same file again', async () => {
    const [one, two] = [
      await assemble('one', { flatUpTo: 10 }),
      await assemble('two', { flatUpTo: 10 }),
    ];
    assert.equal(one.sha256, two.sha256);
    assert.deepEqual(one.about, two.about);
  });

  test('stores floats if the codes are too coarse', async () => {
    // Half of the vectors lie far apart, the others much closer together than a code can tell.
    const mixed = unit(
      Float32Array.from({ length: size * dimension }, (_, i) => {
        const row = Math.floor(i / dimension);
        return row % 2 === 0
          ? random.next() - 0.5
          : Math.sin((row % 30) + (i % dimension)) + 1e-4 * random.next();
      }),
    );
    const { about, events } = await assemble('mixed', {
      ...{ vectors: () => blocks(mixed), flatUpTo: 10 },
    });
    assert.equal(about.type, 'IVF256,Flat');
    assert.ok((about.recallAt10 ?? 0) >= 0.99, JSON.stringify(about));
    const recalls = events.flatMap((event) =>
      event.type === 'measured' ? [event.recallAt10 ?? NaN] : [],
    );
    assert.ok(recalls.length === 2 && (recalls[0] ?? 1) < 0.99, JSON.stringify(recalls));
  });
});

test('a graph gets the breadth that recall requires', async () => {
  const { path, about } = await assemble('graph', { type: 'HNSW8' });
  const index = await VectorIndex.open(path);
  assert.deepEqual(about.search, { efSearch: index.breadth });
  assert.ok((about.recallAt10 ?? 0) >= 0.99, JSON.stringify(about));
});

test('probes that were asked for are kept', async () => {
  const { path, about } = await assemble('asked', { type: 'IVF64,Flat', probes: 3 });
  assert.deepEqual(about.search, { probes: 3 });
  assert.equal((await VectorIndex.open(path)).probes, 3);
});

test('fewer vectors than announced are an error', async () => {
  for (const type of ['Flat', 'SQ8'])
    await assert.rejects(
      assemble('short', { type, size: size + 1 }),
      /Expected 3001 vectors but received 3000/,
    );
});

test('training ends when it is aborted', async () => {
  const interrupt = new AbortController();
  const reason = new Error('interrupted');
  const index = await VectorIndex.create({
    dimension,
    metric: 'inner_product',
    type: 'IVF1024,SQ8',
  });
  const training = index.train(vectors, interrupt.signal);
  await new Promise(setImmediate); // it has begun
  interrupt.abort(reason);
  await assert.rejects(training, reason);
  await index.train(vectors); // and may begin again
  assert.equal(index.needsTraining, false);
});

test('the exact nearest among blocks are those among all', async () => {
  const queries = [3, 1500, 2999].map((row) =>
    vectors.slice(row * dimension, (row + 1) * dimension),
  );
  const exact = new ExactNearest(queries, 5);
  for await (const block of blocks()) await exact.add(block, dimension);
  const whole = await VectorIndex.create({ dimension, metric: 'inner_product' });
  whole.add(vectors);
  for (const [i, query] of queries.entries())
    assert.deepEqual([...(exact.rows[i] ?? [])], [...(await whole.search(query, 5)).rows]);
});

test('the manifest keeps type, search parameters and recall, and may lack the latter two', async () => {
  const base = {
    format: 1,
    model: { name: 'clip', dtype: 'q8', files: {} },
    preprocessing: {},
    skipped: [],
    files: {},
  };
  const index: Manifest['index'] = {
    ...{ type: 'IVF4096,SQ8', metric: 'inner_product', dimension: 512, vectors: 1_000_000 },
  };
  const path = join(folder, 'manifest.json');
  for (const more of [
    {},
    { search: { probes: 96 }, recallAt10: 0.991 },
    { search: { efSearch: 64 } },
  ]) {
    await writeFile(path, JSON.stringify({ ...base, index: { ...index, ...more } }));
    assert.deepEqual((await readManifestFile(path))?.index, { ...index, ...more });
  }
});
