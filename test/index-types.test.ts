import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openEmbeddings } from '../lib/vectors/open-embeddings.ts';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import { cli } from './support/cli.ts';
import { json } from './support/cases.ts';
import { httpDoor } from './support/doors.ts';
import { coverFile, get, starter, upload } from './support/requests.ts';
import { startServer } from './support/server.ts';
import { smallSet, type SmallCatalog } from './support/small-catalog.ts';

/* Written by test/fixtures/faiss/make.py. */
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/faiss/${name}`, import.meta.url));
const [size, dimension] = [300, 16];
const bytes = readFileSync(fixture('vectors.f32'));
const vectors = new Float32Array(new Uint8Array(bytes).buffer);
const vectorOf = (row: number) => vectors.slice(row * dimension, (row + 1) * dimension);
const localIds = Array.from({ length: size }, (_, row) => 3 * row + 7);

/** The k rows with the highest cosine to a row's vector, best first. */
const nearestRows = (row: number, k: number): number[] => {
  const query = vectorOf(row);
  const cosines = Array.from({ length: size }, (_, other) =>
    vectorOf(other).reduce((sum, value, i) => sum + value * (query[i] ?? NaN), 0),
  );
  return [...cosines.keys()].sort((a, b) => (cosines[b] ?? NaN) - (cosines[a] ?? NaN)).slice(0, k);
};

/** Checks search, filtered search and stored vectors, all by row. */
const assertRight = async (index: VectorIndex) => {
  for (const row of [0, 3, 150, 299]) {
    const found = await index.search(vectorOf(row), 5);
    assert.deepEqual([...found.rows], nearestRows(row, 5));
    for (const distance of found.distances) {
      const score = index.similarity(distance);
      assert.ok(score <= 1 && score >= -1, String(score));
    }
    const among = Uint32Array.from([5, row, 200]).sort();
    const filtered = await index.search(vectorOf(row), 1, among);
    assert.deepEqual([...filtered.rows], [row]);
    const stored = index.vectorOf(row);
    const cosine = stored.reduce((sum, value, i) => sum + value * (vectorOf(row)[i] ?? NaN), 0);
    assert.ok(cosine > 0.999, String(cosine));
  }
};

describe("indexes written by users' own scripts", () => {
  for (const name of [
    'flat',
    'idmap',
    'idmap2',
    'idmap-rows',
    'idmap-shuffled',
    'idmap-ivf',
    'ivf-ids',
    'ivf',
  ])
    test(`searches in ${name} return row numbers`, async () => {
      const { index } = await openEmbeddings(fixture(`${name}.index`), localIds);
      await assertRight(index);
    });

  for (const name of ['long-ip', 'long-l2'])
    test(`${name}, whose vectors are not of length 1, is scaled with a warning`, async () => {
      const { index, warnings } = await openEmbeddings(fixture(`${name}.index`), localIds);
      assert.match(warnings.join(), /300 vectors that are not of length 1 .*have been scaled/);
      await assertRight(index);
    });

  test('an IVF index saved with one probe is given more, with a warning', async () => {
    const { index, warnings } = await openEmbeddings(fixture('ivf.index'), localIds);
    assert.ok(index.probes > 1);
    assert.match(warnings.join(), /saved to probe 1 of its 16 cells: \d+ are probed instead/);
  });

  test('an IVF index saved with another number of probes keeps it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'probes-'));
    try {
      const path = join(folder, 'ivf.index');
      const chosen = await VectorIndex.open(fixture('ivf.index'));
      chosen.probes = 2;
      await chosen.write(path);
      const { index, warnings } = await openEmbeddings(path, localIds);
      assert.equal(index.probes, 2);
      assert.deepEqual(warnings, []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  for (const [file, code, sentence] of [
    [
      'idmap-strange.index',
      'assets_inconsistent',
      /ids that are neither those of the albums nor their places in the list \(the first is 1007\)/,
    ],
    [
      'nan.index',
      'index_unreadable',
      /has 1 vector that is no embedding \(NaN, or all zero\), in the rows 3: embed/,
    ],
    ['zero.index', 'index_unreadable', /has 1 vector that is no embedding/],
    [
      'long-hnsw.index',
      'index_unreadable',
      /not of length 1 .*normalise the vectors \(faiss\.normalize_L2\)/,
    ],
    ['l1.index', 'index_unreadable', /its metric is L1, where inner product or L2 is expected/],
    [
      'lsh.index',
      'index_unreadable',
      /can't be served, since it is a type of index .*create an inner-product index of type Flat/,
    ],
    [
      'pqfs.index',
      'index_unreadable',
      /can't be served, since it is a type of index .*create an inner-product index of type Flat/,
    ],
    ['on-disk.index', 'index_unreadable', /lists are not in it \(on-disk lists\)/],
    ['binary.index', 'index_unreadable', /a binary index of FAISS/],
    ['array.npy', 'index_unreadable', /an array of NumPy \(\.npy\): .*faiss\.write_index/],
  ] as const)
    test(`${file} is refused with an explanation`, async () => {
      await assert.rejects(
        openEmbeddings(fixture(file), localIds),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, code);
          assert.match(error.message, sentence);
          assert.match(error.message, /^[^\n]{20,420}\.$/);
          return true;
        },
      );
    });

  test('SQbf16, on which the FAISS used here aborts, is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bf16-'));
    try {
      const path = join(folder, 'bf16.index');
      const index = await VectorIndex.create({
        dimension,
        metric: 'inner_product',
        type: 'SQfp16',
      });
      index.add(vectors);
      await index.write(path);
      const file = await readFile(path);
      file.writeInt32LE(7, 37); // QT_bf16, after the header
      await writeFile(path, file);
      await assert.rejects(openEmbeddings(path, localIds), /newer than the FAISS here \(SQbf16/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('NaN in the very first row is reported as such', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'first-nan-'));
    try {
      const path = join(folder, 'nan.index');
      const index = await VectorIndex.create({ dimension, metric: 'inner_product' });
      index.add(Float32Array.from(vectors, (value, i) => (i < dimension ? NaN : value)));
      await index.write(path);
      await assert.rejects(openEmbeddings(path, localIds), /no embedding .* in the rows 0:/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('a row with NaN does not affect other rows if it is searched anyway', async () => {
    const index = await VectorIndex.open(fixture('nan.index'));
    const [first] = (await index.search(vectorOf(150), 5)).rows;
    assert.equal(first, 150);
    assert.ok(!(await index.search(vectorOf(150), size)).rows.includes(3));
    assert.deepEqual(
      [...(await index.search(vectorOf(150), 3, Uint32Array.of(3, 150, 200))).rows],
      [150, 200],
    );
  });

  test('a disposed index can no longer be searched', async () => {
    const { index } = await openEmbeddings(fixture('flat.index'), localIds);
    index.dispose();
    await assert.rejects(index.search(vectorOf(0), 1), /was disposed of/);
  });

  test('several threads can read and search concurrently, and end in any order', async () => {
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { Index } = require('faiss-node');
      Index.open(workerData)
        .then((index) => index.nearest(new Float32Array(16).fill(0.25), 1))
        .then(({ labels }) => parentPort.postMessage(labels[0]));
    `;
    const run = () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(program, { eval: true, workerData: fixture('flat.index') });
        worker.once('message', resolve).once('error', reject);
      });
    const answers = [...(await Promise.all([run(), run(), run()])), await run()];
    assert.equal(new Set(answers).size, 1);
    await assertRight((await openEmbeddings(fixture('flat.index'), localIds)).index);
  });
});

describe('a damaged file', () => {
  for (const [what, name, at, value] of [
    ['the dimension of a wrapper is not that of what it wraps', 'idmap', 4, 24],
    ['a transform says that it is not trained', 'opq-ivf-pq', 32, 0],
  ] as const)
    test(`is refused on loading if ${what}`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'contradictory-'));
      try {
        const path = join(folder, 'index');
        const damaged = readFileSync(fixture(`${name}.index`));
        damaged[at] = value;
        writeFileSync(path, damaged);
        await assert.rejects(openEmbeddings(path, localIds), (error: Error & { code?: string }) => {
          assert.equal(error.code, 'index_unreadable');
          assert.match(error.message, /its parts do not match/);
          return true;
        });
        const opened = await VectorIndex.open(path);
        await assert.rejects(
          opened.search(new Float32Array(opened.dimension).fill(1), 1),
          (error) => error instanceof Error, // FAISS's own error, rather than a hang
        );
      } finally {
        await rm(folder, { recursive: true });
      }
    });

  test('is refused or searched, but never crashes the process', { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'damaged-'));
    try {
      for (const type of ['HNSW8', 'IVF8,Flat', 'PCA8,HNSW8', 'SQ8,RFlat', 'IVF8,PQ8x4', 'PQ8x4']) {
        const index = await VectorIndex.create({ dimension, metric: 'inner_product', type });
        await index.train(vectors);
        index.add(vectors);
        await index.write(join(folder, `${type.replaceAll(',', '-')}.index`));
      }
      for (const name of ['idmap', 'idmap-ivf', 'ivf-ids'])
        cpSync(fixture(`${name}.index`), join(folder, `${name}.index`));
      const program = `
        import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
        import { join } from 'node:path';
        import faiss from 'faiss-node';
        const folder = ${JSON.stringify(folder)};
        let state = 1;
        const random = (n) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
        let [refused, read] = [0, 0];
        for (const name of readdirSync(folder)) {
          const whole = readFileSync(join(folder, name));
          for (let i = 0; i < 300; i += 1) {
            const damaged = Buffer.from(whole);
            // near the start, where the structure is, as often as anywhere
            for (let times = 1 + random(3); times > 0; times -= 1)
              damaged[random(random(2) ? whole.length : 200)] = [0, 1, 127, 255, random(256)][random(5)];
            const path = join(folder, 'damaged');
            writeFileSync(path, random(8) ? damaged : damaged.subarray(0, random(whole.length)));
            try {
              const index = await faiss.Index.open(path);
              read += 1;
              const query = new Float32Array(index.getDimension()).fill(0.25);
              await index.nearest(query, 5);
              const n = index.ntotal();
              await index.nearest(query, 3, Uint32Array.from([0, n >> 1, n - 1].filter((row) => row >= 0 && row < n)));
              index.reconstruct(0);
            } catch {
              refused += 1;
            }
          }
        }
        console.log(JSON.stringify({ refused, read }));`;
      const { execFileSync } = await import('node:child_process');
      const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
        cwd: fileURLToPath(new URL('..', import.meta.url)),
      });
      const { refused, read } = JSON.parse(said) as { refused: number; read: number };
      assert.ok(refused > 300 && read > 300, said);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('every type that index build supports', () => {
  let folder = '';
  let catalog: SmallCatalog;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'index-types-'));
    catalog = await smallSet(join(folder, 'set'), 120);
  });
  after(() => rm(folder, { recursive: true }));

  const built = async (type: string) => {
    const dir = join(folder, type.replaceAll(',', '-'));
    await cp(starter.clipDir, join(dir, 'clip'), {
      recursive: true,
      filter: (path) => !path.includes('catalog'),
    });
    const metadataPath = join(dir, 'list.json');
    await cp(join(catalog.dir, 'models', 'valid_metadata_final.json'), metadataPath);
    const outcome = await cli([
      ...['index', 'build', '--images', catalog.imagesDir, '--metadata', metadataPath],
      ...['--out', dir, '--model', starter.clipDir, '--type', type],
    ]);
    return { dir, ...outcome };
  };

  for (const type of [
    'Flat',
    'SQ4',
    'SQfp16',
    'HNSW16,SQ8',
    'IVF4,Flat',
    'IVF4,PQ64x4',
    'SQ8,RFlat',
    'PCA64,Flat',
    'PCA64,IVF4,SQ8',
    'L2norm,Flat',
  ])
    test(`${type} supports search, filters, similar albums, reloading and verification`, async () => {
      const { dir, status, errors } = await built(type);
      assert.equal(status, 0, errors);
      const server = await startServer({
        MODELS_DIR: dir,
        IMAGES_DIR: catalog.imagesDir,
        RELOAD_SECONDS: '0',
      });
      const door = httpDoor(server.url);
      const check = async () => {
        for (const id of [catalog.ids[3] ?? 0, catalog.ids[77] ?? 0]) {
          const resultsOf = async (request: Parameters<typeof door>[0]) => {
            const response = await door(request);
            assert.equal(response.status, 200, response.body.toString());
            return json<{
              results: { album_id: number; genre: string; similarity_score: number }[];
            }>(response).results;
          };
          const [first] = await resultsOf(upload(coverFile(id), '?k=3'));
          assert.equal(first?.album_id, id);
          assert.ok(first.similarity_score <= 1);
          const genre = first.genre.split(' / ')[0] ?? '';
          const filtered = await resultsOf(
            upload(coverFile(id), `?k=3&genre=${encodeURIComponent(genre)}`),
          );
          assert.equal(filtered[0]?.album_id, id);
          for (const one of filtered) assert.ok(one.genre.includes(genre));
          const like = await resultsOf(get(`/api/albums/${String(id)}/similar?k=3`));
          assert.equal(like.length, 3);
          assert.ok(like.every((one) => one.album_id !== id));
        }
      };
      await check();
      server.child.kill('SIGHUP');
      await server.logged((line) => line.msg === 'serving the new files');
      await check();
      assert.equal(await server.stop(), 0);
      const verified = await cli([
        'verify',
        dir,
        '--images',
        catalog.imagesDir,
        '--model',
        starter.clipDir,
        '--drift',
        '4',
      ]);
      assert.equal(verified.status, 0, verified.output + verified.errors);
      assert.doesNotMatch(verified.output + verified.errors, /another model|not of length 1/);
    });

  for (const type of ['LSH', 'PQ8x4fs', 'IVF4,PQ8x4fs', 'ITQ64,LSH', 'NSG16', 'Nonsense'])
    test(`${type} is refused before any cover is embedded`, async () => {
      const { status, errors } = await built(type);
      assert.equal(status, 1);
      assert.match(errors, /can't be served, since it is|FAISS knows no index of type/);
    });
});
