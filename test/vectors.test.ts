import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AppError } from '../lib/errors.ts';
import { trimMemory, VectorIndex, type Neighbours } from '../lib/vectors/vector-index.ts';
import { noise } from './support/pictures.ts';
import { references } from './support/reference.ts';
import { root } from './support/requests.ts';

const dimension = 32;
const count = 400;

/** Unit vectors, always the same. */
function unitVectors(n: number, d: number): Float32Array {
  const bytes = noise(2 * n * d);
  const all = Float32Array.from({ length: n * d }, (_, i) => bytes.readInt16LE(2 * i) / 32768);
  for (let row = 0; row < n; row += 1) {
    const vector = all.subarray(row * d, (row + 1) * d);
    const norm = Math.hypot(...vector);
    for (const [j, value] of vector.entries()) vector[j] = value / norm;
  }
  return all;
}

const vectors = unitVectors(count, dimension);
const vectorOf = (row: number) => vectors.slice(row * dimension, (row + 1) * dimension);
const query = vectorOf(123).map((value, j) => value + 0.02 * Math.sin(j));

/** The expected result of an exact search, computed in plain JavaScript. */
function bruteForce(metric: 'inner_product' | 'l2', k: number, rows: Iterable<number>): number[] {
  const cost = (row: number) => {
    let sum = 0;
    for (const [j, value] of vectorOf(row).entries())
      sum += metric === 'l2' ? (value - (query[j] ?? 0)) ** 2 : -value * (query[j] ?? 0);
    return sum;
  };
  return [...rows]
    .map((row) => ({ row, cost: cost(row) }))
    .sort((a, b) => a.cost - b.cost || a.row - b.row)
    .slice(0, k)
    .map(({ row }) => row);
}

const all = Array.from({ length: count }, (_, row) => row);
const make = async (type: string, metric: 'inner_product' | 'l2' = 'inner_product') => {
  const index = await VectorIndex.create({ dimension, metric, type });
  await index.train(vectors);
  index.add(vectors);
  return index;
};

describe('vector index', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'vectors-'))));
  after(() => rm(folder, { recursive: true }));

  for (const metric of ['inner_product', 'l2'] as const)
    test(`a flat index by ${metric} agrees with brute force`, async () => {
      const index = await make('Flat', metric);
      const { rows, distances } = await index.search(query, 10);
      assert.deepEqual([...rows], bruteForce(metric, 10, all));
      const similarity = index.similarity(distances[0] ?? NaN);
      assert.ok(similarity > 0.9 && similarity <= 1.1);
    });

  for (const type of ['Flat', 'SQ8', 'HNSW16', 'IVF8,Flat'])
    for (const [what, wanted] of [
      ['none', []],
      ['one', [77]],
      ['three', [5, 6, 399]],
      ['every seventh', all.filter((row) => row % 7 === 0)],
      ['all', all],
    ] as const)
      test(`${type} finds exactly the best among ${what} of its rows`, async () => {
        const index = await make(type);
        const found = await index.search(query, 10, Uint32Array.from(wanted));
        assert.equal(found.rows.length, Math.min(10, wanted.length));
        assert.equal(found.distances.length, found.rows.length);
        const expected = bruteForce('inner_product', 10, wanted);
        // SQ8 stores rounded vectors: neighbours of nearly equal distance may swap
        if (type === 'SQ8') assert.equal(found.rows[0], expected[0]);
        else assert.deepEqual([...found.rows], expected);
      });

  test('a k beyond the size returns all rows', async () => {
    const index = await make('Flat');
    assert.equal((await index.search(query, 1000)).rows.length, count);
    assert.equal((await index.search(query, 1000, Uint32Array.of(1, 2))).rows.length, 2);
  });

  test('ties are broken by the lower row', async () => {
    const index = await VectorIndex.create({ dimension, metric: 'inner_product' });
    for (let i = 0; i < 50; i += 1) index.add(vectorOf(1));
    assert.deepEqual([...(await index.search(vectorOf(1), 5)).rows], [0, 1, 2, 3, 4]);
    assert.deepEqual(
      [...(await index.search(vectorOf(1), 2, Uint32Array.of(40, 9, 30))).rows],
      [9, 30],
    );
  });

  test('an empty index returns nothing', async () => {
    const index = await VectorIndex.create({ dimension, metric: 'inner_product' });
    assert.equal(index.size, 0);
    assert.deepEqual([...(await index.search(query, 5)).rows], []);
  });

  test('an invalid query is refused with a clear message, and the next one is answered', async () => {
    const index = await make('Flat');
    await assert.rejects(index.search(new Float32Array(31), 5), {
      name: 'RangeError',
      message: 'Expected a query of 32 dimensions but received 31.',
    });
    await assert.rejects(index.search(new Float32Array(32).fill(NaN), 5), /finite numbers/);
    await assert.rejects(index.search(query, 5, Uint32Array.of(count)), {
      name: 'RangeError',
      message: 'Row 400 is out of range.',
    });
    assert.throws(() => {
      index.add(new Float32Array(33));
    }, /multiple of 32 floats but received 33/);
    assert.equal((await index.search(query, 1)).rows[0], 123);
  });

  for (const type of ['Flat', 'SQ8', 'HNSW16', 'IVF8,Flat'])
    test(`${type} is the same after writing and reading`, async () => {
      const path = join(folder, `round-trip-${type.replace(',', '-')}.index`);
      const index = await make(type, 'l2');
      await index.write(path);
      const again = await VectorIndex.open(path);
      assert.equal(again.size, count);
      assert.equal(again.dimension, dimension);
      assert.equal(again.metric, 'l2');
      assert.deepEqual(await again.search(query, 10), await index.search(query, 10));
      assert.ok(!(await readdir(folder)).some((name) => name.endsWith('.new')));
    });

  test('writing to a missing folder fails with the reason and leaves nothing', async () => {
    const index = await make('Flat');
    await assert.rejects(
      index.write(join(folder, 'absent', 'x.index')),
      /absent\/x\.index could not be written: No such file or directory/,
    );
    assert.ok(!(await readdir(folder)).includes('absent'));
  });

  const refused = async (path: string, sentence: RegExp) => {
    await assert.rejects(VectorIndex.open(path), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'index_unreadable');
      assert.ok(error.message.startsWith(`${path} is not a readable FAISS index: `));
      assert.match(error.message, sentence);
      assert.doesNotMatch(error.message, /\.cpp|Error in|faiss::/);
      return true;
    });
  };

  for (const [what, content] of [
    ['an empty file', Buffer.alloc(0)],
    ['a text', Buffer.from('hello '.repeat(100))],
    ['noise', noise(5000)],
    ['a JPEG', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), noise(5000)])],
  ] as const)
    test(`${what} is refused with one sentence that names the file`, async () => {
      const path = join(folder, 'foreign.index');
      await writeFile(path, content);
      await refused(path, /it does not start like one\.$/);
    });

  test('a missing file and a folder are refused likewise', async () => {
    await refused(join(folder, 'absent.index'), /it could not be read \(ENOENT\)\.$/);
    await refused(folder, /\.$/);
  });

  test('a flat file that claims more vectors than it has is refused with both sizes', async () => {
    const path = join(folder, 'claims.index');
    await (await make('Flat')).write(path);
    const bytes = await readFile(path);
    bytes.writeBigInt64LE(2_000_000_000n, 8);
    await writeFile(path, bytes);
    await refused(
      path,
      /it has 51245 bytes where 2000000000 vectors of 32 dimensions take 256000000045/,
    );
  });

  for (const type of ['Flat', 'SQ8', 'HNSW16', 'IVF8,Flat'])
    test(`${type} truncated to any length is refused without a crash`, async () => {
      const path = join(folder, 'cut.index');
      await (await make(type)).write(path);
      const { length } = await readFile(path);
      for (let cut = length - 1; cut > 0; cut -= Math.ceil(length / 60)) {
        await truncate(path, cut);
        await refused(path, /\.$/);
      }
    });

  test('a file with a changed byte is read or refused, and never crashes the process', async () => {
    const path = join(folder, 'flipped.index');
    await (await make('HNSW16')).write(path);
    const program = `
      const { VectorIndex } = await import(${JSON.stringify(join(root, 'lib', 'vectors', 'vector-index.ts'))});
      const { readFileSync, writeFileSync } = await import('node:fs');
      const whole = readFileSync(${JSON.stringify(path)});
      let refused = 0;
      for (let i = 0; i < 400; i += 1) {
        const bytes = Buffer.from(whole);
        const at = i < 200 ? i : Math.floor((whole.length * (i - 200)) / 200);
        bytes[at] ^= 0x41;
        writeFileSync(${JSON.stringify(path)}, bytes);
        try {
          const index = await VectorIndex.open(${JSON.stringify(path)});
          if (index.dimension === 32) await index.search(new Float32Array(32).fill(0.1), 5);
        } catch { refused += 1; }
      }
      console.log('refused', refused);`;
    const said = execFileSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program],
      {
        cwd: root,
        encoding: 'utf8',
      },
    );
    assert.match(said, /^refused \d+/m);
  });
});

describe('a search off the JavaScript thread', () => {
  // Large enough that its memory is unmapped when it is freed.
  const [large, wide] = [20_000, 512];
  const manyVectors = unitVectors(large, wide);
  const own = (row: number) => manyVectors.slice(row * wide, (row + 1) * wide);
  const makeLarge = async () => {
    const index = await VectorIndex.create({ dimension: wide, metric: 'inner_product' });
    index.add(manyVectors);
    return index;
  };

  test('does not block the event loop', async () => {
    const index = await makeLarge();
    let turned = false;
    setImmediate(() => (turned = true));
    const { rows } = await index.search(own(4567), 3);
    assert.equal(rows[0], 4567);
    assert.ok(turned);
  });

  test('completes correctly if the index is disposed of meanwhile, but cannot start after that', async () => {
    const index = await makeLarge();
    const searches = [3, 4567, 19_999].map((row) => index.search(own(row), 1));
    const lengths = index.lengthsOf(Uint32Array.of(0, 19_999));
    index.dispose();
    await assert.rejects(index.search(own(3), 1), /The index was disposed of/);
    assert.deepEqual(
      (await Promise.all(searches)).map(({ rows }) => rows[0]),
      [3, 4567, 19_999],
    );
    for (const length of await lengths) assert.ok(Math.abs(length - 1) < 1e-5);
  });

  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const noGlibc = header.glibcVersionRuntime === undefined && 'malloc is not the one of glibc';
  test('trimMemory returns freed memory to the system', { skip: noGlibc }, async () => {
    const index = await VectorIndex.create({ dimension: 4, metric: 'l2', type: 'HNSW32' });
    for (let i = 0; i < 20; i += 1) index.add(unitVectors(5000, 4));
    const kept = await make('Flat'); // lies above the freed memory, so that malloc itself can't return it
    index.dispose();
    await new Promise((done) => setTimeout(done, 200));
    const before = process.memoryUsage.rss();
    await trimMemory();
    const freed = before - process.memoryUsage.rss();
    assert.ok(freed > 2e6, `${String(freed)} bytes`);
    assert.equal(kept.size, count);
  });

  test('query and rows may be overwritten as soon as the search has started', async () => {
    const index = await makeLarge();
    const [asked, rows] = [own(77), Uint32Array.of(77, 4, 5)];
    const searching = index.search(asked, 1, rows);
    asked.fill(0);
    rows.fill(2 ** 32 - 1);
    assert.deepEqual([...(await searching).rows], [77]);
  });

  for (const type of ['Flat', 'SQ8', 'IVF64,Flat'])
    test(`concurrent searches of ${type} find what each finds alone`, async () => {
      const index = await make(type);
      const asked = all.slice(0, 50).map((row) => ({ query: vectorOf(row), k: 1 + (row % 40) }));
      const alone: Neighbours[] = [];
      for (const { query, k } of asked) alone.push(await index.search(query, k));
      const together = await Promise.all(asked.map(({ query, k }) => index.search(query, k)));
      assert.deepEqual(together, alone);
      // A single cell of an inverted file may hold fewer vectors than requested.
      assert.ok(
        alone.every(({ rows }, i) => type.startsWith('IVF') || rows.length === 1 + (i % 40)),
      );
      assert.ok(alone.every(({ rows }) => rows.length > 0 && !rows.includes(-1)));
    });

  test('is skipped if it is aborted while it waits for another', async () => {
    const index = await makeLarge();
    const leaving = new AbortController();
    const first = index.search(own(3), 1);
    const left = assert.rejects(index.search(own(4), 1, undefined, leaving.signal), {
      name: 'AbortError',
    });
    const last = index.search(own(5), 1);
    leaving.abort();
    await left;
    assert.deepEqual([(await first).rows[0], (await last).rows[0]], [3, 5]);
  });

  test('the index cannot be changed during a search', async () => {
    const index = await makeLarge();
    // every row 200 times: long enough not to end before the changes are tried
    const searching = index.search(
      own(8),
      1,
      Uint32Array.from({ length: 200 * large }, (_, i) => i % large),
    );
    for (const change of [
      () => {
        index.add(own(0));
      },
      () => index.remove([0]),
    ])
      assert.throws(change, /cannot be changed during a search/);
    await assert.rejects(index.normalise(), /cannot be changed during a search/);
    await searching;
    index.add(own(0));
    assert.equal(index.size, large + 1);
  });

  test('an exiting thread or process waits for it', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      const { Index } = require('faiss-node');
      const search = () => {
        const index = Index.fromFactory(${String(wide)}, 'Flat', 0);
        for (let i = 0; i < 20_000; i += 1) index.add(new Float32Array(${String(wide)}).fill(i));
        for (let i = 0; i < 8; i += 1) void index.nearest(new Float32Array(${String(wide)}).fill(1), 5);
      };
      const source = 'const { Index } = require("faiss-node"); (' + search + ')(); process.exit();';
      new Worker(source, { eval: true }).once('exit', () => {
        search();
        console.log('ended');
        process.exit();
      });`;
    assert.equal(
      execFileSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' }),
      'ended\n',
    );
  });

  test('a file is read off the thread too: here a pipe that this thread writes', async () => {
    const { default: faiss } = await import('faiss-node');
    const folder = await mkdtemp(join(tmpdir(), 'pipe-'));
    try {
      const [path, pipe] = [join(folder, 'whole'), join(folder, 'pipe')];
      await (await make('Flat')).write(path);
      execFileSync('mkfifo', [pipe]);
      const opening = faiss.Index.open(pipe);
      await writeFile(pipe, await readFile(path));
      assert.equal((await opening).ntotal(), count);
      await assert.rejects(faiss.Index.open(join(folder, 'absent')), /could not open/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

interface Answers {
  labels: number[][];
  distances: number[][];
}

interface Golden {
  queries: number[][];
  indexes: Record<string, Answers>;
}

for (const { name: reference, skip, path } of references)
  describe(`indexes that Python wrote: ${reference}`, { skip }, () => {
    const golden: Golden = skip
      ? { queries: [], indexes: {} }
      : (JSON.parse(readFileSync(path('faiss/golden.json'), 'utf8')) as Golden);

    for (const name of ['flat_ip', 'flat_l2', 'sq8', 'hnsw16'])
      test(`${name}.index answers as Python does`, async () => {
        const expected: Answers | undefined = golden.indexes[name];
        assert.ok(expected);
        const index = await VectorIndex.open(path(`faiss/${name}.index`));
        for (const [i, values] of golden.queries.entries()) {
          const labels: number[] = expected.labels[i] ?? [];
          const found: Neighbours = await index.search(Float32Array.from(values), labels.length);
          assert.deepEqual([...found.rows], labels);
          for (const [j, distance] of found.distances.entries())
            assert.ok(Math.abs(distance - (expected.distances[i]?.[j] ?? NaN)) <= 1e-5);
        }
      });

    test('a truncated index is refused with both sizes', async () => {
      const whole = await VectorIndex.open(path('faiss/flat_ip.index'));
      const sizeOf = async (name: string) => String((await stat(path(`faiss/${name}.index`))).size);
      const sentence =
        `truncated.index is not a readable FAISS index: it has ${await sizeOf('truncated')} bytes where ` +
        `${String(whole.size)} vectors of ${String(whole.dimension)} dimensions take ${await sizeOf('flat_ip')}.`;
      await assert.rejects(VectorIndex.open(path('faiss/truncated.index')), (error: AppError) => {
        assert.equal(error.code, 'index_unreadable');
        assert.ok(error.message.includes(sentence), error.message);
        return true;
      });
    });

    test('an index of 256 dimensions says so and refuses a query of 512', async () => {
      const index = await VectorIndex.open(path('faiss/dimension_256.index'));
      assert.equal(index.dimension, 256);
      await assert.rejects(
        index.search(new Float32Array(512), 1),
        /256 dimensions but received 512/,
      );
    });
  });
