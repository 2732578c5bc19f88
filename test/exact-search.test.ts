/* Every way in which native/faiss compares a query with what an index stores, against plain JavaScript. */
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import { bitmapOf } from './support/bitmaps.ts';
import { noise } from './support/pictures.ts';

// 100 = 64 + 36: the kernels take 64 dimensions at a time, and the rest one by one
const [count, dimension] = [700, 100];
const bytes = noise(2 * count * dimension);
const vectors = Float32Array.from({ length: count * dimension }, (_, i) => {
  const cluster = Math.floor(i / dimension) % 9;
  return bytes.readInt16LE(2 * i) / 2 ** 17 + Math.sin(cluster * 12.9 + (i % dimension)) / 8;
});
const query = vectors.slice(0, dimension).map((value, j) => value + 0.1 * Math.cos(j));
const everyRow = Array.from({ length: count }, (_, row) => row);

const make = async (type: string, metric: 'inner_product' | 'l2') => {
  const index = await VectorIndex.create({ dimension, metric, type });
  await index.train(vectors);
  index.add(vectors);
  return index;
};

/** Rows and distances by what the index stores, best first. */
const bruteForce = (index: VectorIndex, rows: Iterable<number>) =>
  [...rows]
    .map((row) => {
      let distance = 0;
      for (const [j, value] of index.vectorOf(row).entries()) {
        const asked = query[j] ?? NaN;
        distance += index.metric === 'l2' ? (value - asked) ** 2 : value * asked;
      }
      return { row, distance };
    })
    .sort((a, b) => (index.metric === 'l2' ? 1 : -1) * (a.distance - b.distance) || a.row - b.row);

/** Checks a result, in which rows of nearly equal distance may have changed places. */
const assertBest = async (index: VectorIndex, k: number, rows?: Uint32Array) => {
  const expected = bruteForce(index, rows ?? everyRow);
  const distanceOf = new Map(expected.map(({ row, distance }) => [row, distance]));
  const found = await index.search(query, k, rows);
  if (rows) {
    assert.deepEqual(await index.search(query, k, bitmapOf(rows, count)), found);
  }
  assert.equal(found.rows.length, Math.min(k, expected.length));
  assert.equal(new Set(found.rows).size, found.rows.length);
  for (const [i, row] of found.rows.entries())
    for (const right of [expected[i]?.distance, distanceOf.get(row)])
      assert.ok(Math.abs((right ?? NaN) - (found.distances[i] ?? NaN)) < 1e-4, String(row));
};

for (const metric of ['inner_product', 'l2'] as const)
  describe(`by ${metric}, an exact search agrees with brute force over what is stored`, () => {
    for (const type of [
      ...['Flat', 'SQ8', 'SQ4', 'SQfp16', 'PQ4x4', 'HNSW8', 'HNSW8,SQ8', 'RR100,SQ8'],
      ...['IVF9,Flat', 'IVF9,SQ8', 'IVF9,SQ4', 'IVF9,PQ4x4', 'IVF9_HNSW4,SQ8', 'RR100,IVF9,SQ8'],
      ...['IVF9,SQfp16', 'SQ4,Refine(SQfp16)', 'PCA50,IVF9,SQ8,Refine(SQfp16)', 'IVF9,SQ8,RFlat'],
    ])
      test(type, async () => {
        const index = await make(type, metric);
        for (const rows of [
          [],
          [count - 1],
          everyRow.filter((row) => row % 5 === 0),
          everyRow.filter((row) => row !== 3),
          everyRow,
        ])
          await assertBest(index, 20, Uint32Array.from(rows));
        // HNSW and PQ in cells are searched by FAISS, which is not exact there
        if (!/HNSW8|IVF9,(SQ4|PQ)/.test(type)) {
          if (index.cells > 0) index.probes = index.cells;
          index.candidates = count / 20; // for each result; none is left out
          await assertBest(index, 20);
          await assertBest(index, count + 1);
        }
      });
  });

test('values beyond 16 bits are never found', async () => {
  for (const type of ['SQfp16', 'SQ8,Refine(SQfp16)']) {
    const index = await make(type, 'inner_product');
    for (const strange of [NaN, Infinity, -Infinity, 1e9]) {
      const vector = vectors.slice(0, dimension);
      vector[70] = strange;
      index.add(vector);
    }
    index.candidates = 2; // the first index may choose them
    const { rows } = await index.search(query, 20);
    assert.equal(rows.length, 20);
    assert.ok(
      rows.every((row) => row < count),
      `${type}: ${rows.join()}`,
    );
  }
});

test('vectors in another order are selected by their rows', async () => {
  const index = await make('IVF9,Flat', 'inner_product');
  const rows = Uint32Array.from([2, 64, 65, 400]);
  index.setRows(Int32Array.from(everyRow, (place) => count - 1 - place));
  const found = await index.search(query, 10, rows);
  assert.deepEqual(
    [...found.rows].sort((a, b) => a - b),
    [...rows],
  );
  assert.deepEqual(await index.search(query, 10, bitmapOf(rows, count)), found);
});

test('more candidates for each result find more of the nearest', async () => {
  const index = await make('SQ4,Refine(SQfp16)', 'inner_product');
  const nearest = new Set(bruteForce(index, everyRow).slice(0, 20).map(({ row }) => row)); // prettier-ignore
  const hits: number[] = [];
  for (const candidates of [1, 2, 10]) {
    index.candidates = candidates;
    const { rows } = await index.search(query, 20);
    hits.push(rows.filter((row) => nearest.has(row)).length);
  }
  assert.ok((hits[0] ?? 20) < 20, String(hits)); // codes of 4 bits confuse some
  assert.equal(hits[2], 20);
});

test('fewer probes visit fewer vectors', async () => {
  const index = await make('IVF9,SQ8', 'inner_product');
  let before = 0;
  for (const probes of [1, 4, 9]) {
    index.probes = probes;
    const { rows } = await index.search(query, count);
    assert.ok(rows.length > before, String(rows.length));
    before = rows.length;
  }
  assert.equal(before, count);
});

for (const type of ['Flat', 'SQ8', 'IVF4,Flat', 'IVF4,SQ8'])
  test(`${type} lists equal vectors by row`, async () => {
    const index = await VectorIndex.create({ dimension, metric: 'inner_product', type });
    await index.train(vectors);
    for (let i = 0; i < 50; i += 1) index.add(vectors.subarray(0, dimension));
    if (index.cells > 0) index.probes = index.cells;
    assert.deepEqual([...(await index.search(query, 5)).rows], [0, 1, 2, 3, 4]);
    const among = Uint32Array.of(9, 30, 40);
    assert.deepEqual([...(await index.search(query, 2, among)).rows], [9, 30]);
  });

describe('codes in a mapped file', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'mapped-'))));
  after(() => rm(folder, { recursive: true }));
  const map = (from: string) => VectorIndex.open(from, { mapFrom: 1 });

  for (const type of [
    ...['IVF9,SQ8', 'IVF9,Flat', 'IVF9,PQ4x4', 'RR100,IVF9,SQ8', 'SQ8', 'SQfp16', 'SQ4'],
    ...['PCA50,IVF9,SQ8,Refine(SQfp16)', 'SQ8,Refine(SQfp16)', 'IVF9,SQ8,RFlat'],
  ])
    test(`${type} gives the same results as in memory`, async () => {
      const file = join(folder, type);
      await (await make(type, 'l2')).write(file);
      const [read, mapped] = [await VectorIndex.open(file), await map(file)];
      for (const rows of [undefined, Uint32Array.from(everyRow.filter((row) => row % 3 === 0))])
        assert.deepEqual(await mapped.search(query, 30, rows), await read.search(query, 30, rows));
      for (const row of [0, 350, count - 1])
        assert.deepEqual(mapped.vectorOf(row), read.vectorOf(row));
    });

  for (const type of ['IVF9,SQ8', 'SQ8', 'PCA50,IVF9,SQ8,Refine(SQfp16)'])
    describe(type, () => {
      let path = '';
      before(async () => {
        path = join(folder, `whole ${type}`);
        await (await make(type, 'inner_product')).write(path);
      });

      test('is read into memory before the index is changed or written', async () => {
        const copy = join(folder, 'copy');
        await copyFile(path, copy);
        const index = await map(copy);
        index.add(query);
        assert.equal((await index.search(query, 1)).rows[0], count);
        await index.write(copy);
        const again = await map(copy);
        assert.equal(again.size, count + 1);
        assert.equal((await again.search(query, 1)).rows[0], count);
        assert.deepEqual(again.vectorOf(5), (await map(path)).vectorOf(5));
      });

      test('stays what it was when another file takes its place', async () => {
        const place = join(folder, 'place');
        await copyFile(path, place);
        const index = await map(place);
        const before = await index.search(query, 10, Uint32Array.from(everyRow));
        await writeFile(join(folder, 'other'), 'something else');
        await rename(join(folder, 'other'), place);
        assert.deepEqual(await index.search(query, 10, Uint32Array.from(everyRow)), before);
      });

      test('is refused if the file is truncated, or a length exceeds the file', async () => {
        const whole = await readFile(path);
        const damaged = join(folder, 'damaged');
        const assertRefused = async (content: Buffer) => {
          await writeFile(`${damaged}.new`, content);
          await rename(`${damaged}.new`, damaged);
          for (const mapFrom of [1, Infinity])
            await assert.rejects(
              VectorIndex.open(damaged, { mapFrom }),
              { code: 'index_unreadable' },
              String(mapFrom),
            );
        };
        for (const share of [0.05, 0.2, 0.5, 0.9, 0.99])
          await assertRefused(whole.subarray(0, Math.floor(share * whole.length)));
        await assertRefused(whole.subarray(0, -1));
        // After the number of lists' sizes, or before the codes: at the end, or followed by the number of candidates
        const codes = count * dimension * (type === 'SQ8' ? 1 : 2);
        const at = type.startsWith('IVF')
          ? whole.indexOf('full') + 12
          : whole.length - codes - 8 - (type === 'SQ8' ? 0 : 4);
        if (type.startsWith('PCA')) {
          for (const [place, value] of [
            [4, 2 * dimension],
            [8, count + 1],
          ] as const) {
            const content = Buffer.from(whole);
            content.writeInt32LE(value, place); // dimension or number of vectors in the header
            await assertRefused(content);
          }
          for (const candidates of [0.5, NaN, Infinity, 1e30]) {
            const content = Buffer.from(whole);
            content.writeFloatLE(candidates, whole.length - 4);
            await assertRefused(content);
          }
        }
        for (const size of [2n ** 40n, 2n ** 63n, 2n ** 64n - 1n, BigInt(count)]) {
          const content = Buffer.from(whole);
          content.writeBigUInt64LE(size, at);
          await assertRefused(content);
        }
      });
    });
});
