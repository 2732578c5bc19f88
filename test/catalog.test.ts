import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { compactName, indexName, metadataName } from '../lib/assets/assets.ts';
import { digestFile } from '../lib/assets/manifest.ts';
import { AlbumColumnsBuilder, chunkSize } from '../lib/catalog/album-columns.ts';
import { Catalog } from '../lib/catalog/catalog.ts';
import { parsePandasJson } from '../lib/catalog/pandas-json.ts';
import { RowTable } from '../lib/catalog/row-table.ts';
import { loadConfig } from '../lib/config/config.ts';
import { createLogger } from '../lib/log.ts';
import { createServices } from '../lib/services.ts';
import { inTurns } from '../lib/concurrency/in-turns.ts';
import { rowsIn } from './support/bitmaps.ts';
import { starter } from './support/requests.ts';
import { writeFlatIndex } from '../pipeline/indexing/flat-file.ts';
import { FileSet } from '../pipeline/indexing/file-set.ts';
import { joinRows } from '../pipeline/indexing/metadata-file.ts';
import { writeCompactFile } from '../pipeline/indexing/write-compact.ts';
import { smallReference, wholeReference } from './support/reference.ts';

/** Rows as pandas' `to_dict('records')` and `json.dump` write them. */
const dirty = `[
  {"local_id": 0, "filename": "album_0.jpg", "artist": NaN, "album_name": "Various", "genre": "Electronic / Rock", "label": NaN, "release_year": 2012.0, "score": 0.0, "best_new_music": 0, "reviewer_name": NaN, "cover_url": "https://example.org/0.jpg"},
  {"local_id": 2, "filename": "album_2.jpg", "artist": 311, "album_name": "NaN, \\"Infinity\\"", "genre": NaN, "label": NaN, "release_year": NaN, "score": 8.4, "best_new_music": 1, "reviewer_name": NaN, "cover_url": NaN},
  {"local_id": 5, "filename": "album_5.jpg", "artist": "Ann", "album_name": "Home", "genre": "There is a moment, two songs in, when the record stops pretending.", "label": NaN, "release_year": 1999.0, "score": NaN, "best_new_music": 0, "reviewer_name": NaN, "cover_url": NaN},
  {"local_id": 6, "filename": "album_6.jpg", "artist": "Bob", "album_name": "Away", "genre": "Pop/R&B", "label": NaN, "release_year": 2020.0, "score": 5.5, "best_new_music": 0, "reviewer_name": NaN, "cover_url": NaN}
]`;

describe('catalog', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'catalog-'))));
  after(() => rm(folder, { recursive: true }));
  const open = async (content: string) => {
    const path = join(folder, 'valid_metadata_final.json');
    await writeFile(path, content);
    return Catalog.open(path);
  };

  test('a literal NaN becomes null, but is kept inside a string', () => {
    assert.deepEqual(
      parsePandasJson('{"a": NaN, "b": "NaN \\" NaN", "c": [-Infinity, Infinity, 1]}'),
      {
        a: null,
        b: 'NaN " NaN',
        c: [null, null, 1],
      },
    );
  });

  test('row numbers are not ids', async () => {
    const catalog = await open(dirty);
    assert.equal(catalog.size, 4);
    assert.deepEqual(
      [0, 1, 2, 3].map((row) => catalog.atRow(row).id),
      [0, 2, 5, 6],
    );
    assert.equal(catalog.byId(5)?.albumName, 'Home');
    assert.equal(catalog.byId(1), undefined);
    assert.throws(() => catalog.atRow(4), RangeError);
  });

  test('dirty rows are read and counted', async () => {
    const catalog = await open(dirty);
    assert.deepEqual(catalog.atRow(0), {
      id: 0,
      artist: null,
      albumName: 'Various',
      genre: 'Electronic / Rock',
      releaseYear: 2012,
      score: 0,
      bestNewMusic: false,
      label: null,
      reviewer: null,
      coverUrl: 'https://example.org/0.jpg',
      filename: 'album_0.jpg',
    });
    assert.equal(catalog.atRow(1).artist, '311');
    assert.equal(catalog.atRow(1).albumName, 'NaN, "Infinity"');
    assert.equal(catalog.atRow(1).bestNewMusic, true);
    assert.equal(catalog.atRow(2).genre, null);
    assert.equal(catalog.dirtyRows, 3);
    assert.deepEqual(Object.fromEntries(catalog.dataIssues), {
      missing_artist: 1,
      numeric_artist: 1,
      sentence_as_genre: 1,
      missing_score: 1,
    });
  });

  for (const [filter, rows] of [
    [{ genres: ['rock'] }, [0]],
    [{ genres: ['Electronic', 'Pop/R&B'] }, [0, 3]],
    [{ genres: ['Polka'] }, []],
    [{ yearMin: 2012 }, [0, 3]],
    [{ yearMax: 2012 }, [0, 2]],
    [{ yearMin: 1999, yearMax: 1999 }, [2]],
    [{ scoreMin: 0 }, [0, 1, 3]],
    [{ scoreMin: 5.5 }, [1, 3]],
    [{ bestNewMusic: true }, [1]],
    [{ bestNewMusic: false, yearMin: 2000 }, [0, 3]],
  ] as const)
    test(`the filter ${JSON.stringify(filter)} selects rows [${rows.join(', ')}]`, async () => {
      const catalog = await open(dirty);
      for (const attempt of ['made', 'kept']) {
        const bits = catalog.bitsMatching(filter) ?? assert.fail();
        assert.equal(bits.length, 4, attempt);
        assert.deepEqual(rowsIn(bits), [...rows], attempt);
      }
    });

  test('a genre with a line break is not two genres, even if that was asked for before', async () => {
    const catalog = await open(dirty);
    const count = (genres: string[]) =>
      rowsIn(catalog.bitsMatching({ genres }) ?? assert.fail()).length;
    assert.equal(count(['electronic\nrock']), 0);
    assert.ok(count(['Rock', 'Electronic']) > 0);
  });

  test('an empty filter selects nothing', async () => {
    assert.equal((await open(dirty)).bitsMatching({}), undefined);
  });

  test('statistics count an album with two genres in both, and include scores of 0', async () => {
    const catalog = await open(dirty);
    const genres = [
      { genre: 'Electronic', albums: 1 },
      { genre: 'Pop/R&B', albums: 1 },
      { genre: 'Rock', albums: 1 },
    ];
    assert.deepEqual(catalog.statistics(), {
      totalAlbums: 4,
      topGenres: genres,
      genres,
      firstYear: 1999,
      lastYear: 2020,
      meanScore: 4.63,
      bestNewMusic: 1,
    });
  });

  for (const [what, content, sentence] of [
    ['an object', '{"albums": []}', /expected a JSON list of albums but found an object/],
    ['a number', '3', /expected a JSON list of albums but found a number/],
    ['null', 'null', /expected a JSON list of albums but found null/],
    ['an empty list', '[]', /the list is empty/],
    [
      'a list of numbers',
      '[1, 2]',
      /expected an album with an integer local_id at element 0 but found 1/,
    ],
    ['an album without an id', '[{"local_id": NaN}]', /at element 0 but found \{"local_id":null\}/],
    ['two albums of one id', '[{"local_id": 3}, {"local_id": 3}]', /local_id 3 occurs twice/],
    ['a file cut short', dirty.slice(0, 700), /it is not valid JSON/],
    ['no JSON at all', 'hello NaN', /it is not valid JSON/],
  ] as const)
    test(`${what} is refused with an error that names the file`, async () => {
      await assert.rejects(open(content), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'catalog_unreadable');
        assert.match(
          error.message,
          /^.*valid_metadata_final\.json is not a readable list of albums: /,
        );
        assert.match(error.message, sentence);
        return true;
      });
    });

  test('a missing file is refused with an error that names it', async () => {
    await assert.rejects(Catalog.open(join(folder, 'absent.json')), {
      code: 'catalog_unreadable',
      message: /absent\.json is not a readable list of albums: it could not be read \(ENOENT\)/,
    });
  });

  for (const { reference, rows, dirty: atLeast } of [
    { reference: smallReference, rows: 50, dirty: 3 },
    { reference: wholeReference, rows: 25_790, dirty: 744 },
  ])
    test(
      `the real metadata of ${reference.name} is read as ${String(rows)} rows, despite its NaNs`,
      { skip: reference.skip },
      async () => {
        const path = reference.path('catalog/valid_metadata_final.json');
        assert.match(await readFile(path, 'utf8'), /: NaN/);
        const catalog = await Catalog.open(path);
        assert.equal(catalog.size, rows);
        assert.ok(catalog.dirtyRows >= atLeast);
        assert.equal(catalog.dataIssues.get('numeric_artist'), 2);
        assert.equal(catalog.dataIssues.get('sentence_as_genre'), 1);
        assert.deepEqual(
          catalog
            .statistics()
            .genres.map(({ genre }) => genre)
            .sort(),
          [
            'Electronic',
            'Experimental',
            'Folk/Country',
            'Global',
            'Jazz',
            'Metal',
            'Pop/R&B',
            'Rap',
            'Rock',
          ],
        );
        const { firstYear, lastYear } = catalog.statistics();
        assert.deepEqual([firstYear, lastYear], [1952, 2023]);
        const differing = Array.from(
          { length: catalog.size },
          (_, row) => catalog.atRow(row).id,
        ).filter((id, row) => id !== row);
        assert.ok(differing.length > catalog.size / 2);
      },
    );
});

test('inTurns processes a long list in order, and yields to the event loop', async () => {
  const done: number[] = [];
  let turns = 0;
  const other = setInterval(() => (turns += 1), 1);
  await inTurns([...Array(50).keys()], (item, index) => {
    assert.equal(item, index);
    done.push(item);
    for (const end = performance.now() + 2; performance.now() < end;);
  });
  clearInterval(other);
  assert.deepEqual(done, [...Array(50).keys()]);
  assert.ok(turns >= 10, String(turns));
});

test('a list with a missing element or trailing content is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'catalog-'));
  for (const text of ['[{"local_id": 1},]', '[,{"local_id": 1}]', '[{"local_id": 1}] []']) {
    const path = join(folder, 'list.json');
    await writeFile(path, text);
    await assert.rejects(Catalog.open(path), /is not valid JSON/, text);
  }
  await rm(folder, { recursive: true });
});

describe('the compact form of a list', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'compact-'))));
  after(() => rm(folder, { recursive: true }));
  const compactOf = async (catalog: Catalog) => {
    const path = join(folder, 'list.arrow');
    await writeCompactFile(path, catalog);
    return path;
  };
  const listOf = async (albums: readonly object[]) => {
    const path = join(folder, 'list.json');
    await writeFile(path, JSON.stringify(albums));
    return Catalog.open(path);
  };
  const assertSame = (opened: Catalog, catalog: Catalog) => {
    assert.equal(opened.size, catalog.size);
    for (let row = 0; row < catalog.size; row += 1)
      assert.deepEqual(opened.atRow(row), catalog.atRow(row));
    assert.deepEqual(opened.ids(), catalog.ids());
    assert.deepEqual(opened.statistics(), catalog.statistics());
    assert.deepEqual([...opened.dataIssues], [...catalog.dataIssues]);
    assert.equal(opened.dirtyRows, catalog.dirtyRows);
    assert.deepEqual(opened.issues, catalog.issues);
  };

  for (const [what, size] of [
    ['one album', 1],
    ['several batches', 2 * chunkSize + 3],
  ] as const)
    test(`of ${what} holds the same albums`, async () => {
      const catalog = await listOf(
        Array.from({ length: size }, (_, i) => ({
          local_id: 2 ** 40 + 3 * i,
          artist: i % 3 === 0 ? null : `Årtist 𝄞 ${String(i)}`,
          album_name: i % 5 === 0 ? null : 'A',
          genre: [null, 'Rock', 'Jazz / Pop/R&B'][i % 3],
          release_year: i % 7 === 0 ? null : 1950 + (i % 70),
          score: i % 4 === 0 ? null : (i % 101) / 10,
          best_new_music: i % 9 === 0,
        })),
      );
      const opened = await Catalog.openCompact(await compactOf(catalog));
      assertSame(opened, catalog);
      assert.equal(opened.rowOf(2 ** 40), 0);
      const filter = { genres: ['jazz'], yearMin: 1960, scoreMin: 1, bestNewMusic: true };
      assert.deepEqual(opened.bitsMatching(filter), catalog.bitsMatching(filter));
    });

  test('of the real list holds the same albums', { skip: wholeReference.skip }, async () => {
    const catalog = await Catalog.open(wholeReference.path('catalog/valid_metadata_final.json'));
    assertSame(await Catalog.openCompact(await compactOf(catalog)), catalog);
  });

  test('is refused if it is damaged', async () => {
    const path = await compactOf(await listOf([{ local_id: 1, artist: 'A' }]));
    const bytes = await readFile(path);
    for (const damaged of [
      bytes.subarray(0, -20),
      Buffer.alloc(0),
      Buffer.from('[]'),
      Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(200), bytes.subarray(300)]),
    ]) {
      await writeFile(path, damaged);
      await assert.rejects(Catalog.openCompact(path), {
        code: 'catalog_unreadable',
        message: /list\.arrow is not a readable list of albums: /,
      });
    }
    await assert.rejects(Catalog.openCompact(join(folder, 'absent.arrow')), {
      code: 'catalog_unreadable',
    });
  });

  test('is written for 10,000 albums or more, and removed with them', async () => {
    const dir = join(folder, 'set');
    await mkdir(dir);
    const model = { name: 'clip', dtype: 'q8' as const, files: {} };
    for (const [albums, isThere] of [
      [10_000, true],
      [9_999, false],
    ] as const) {
      const set = await FileSet.begin(dir);
      await writeFile(set.indexPath, 'index');
      const rows = Array.from({ length: albums }, (_, i) => `{"local_id": ${String(i)}}`);
      await set.writeMetadata(Readable.from([rows]));
      const index = { type: 'Flat', metric: 'inner_product' as const, dimension: 8 };
      const { files } = await set.finish({
        ...{ model, preprocessing: {}, skipped: [] },
        index: { ...index, vectors: albums },
      });
      assert.equal(compactName in files, isThere);
      assert.equal((await readdir(dir)).includes(compactName), isThere);
      if (isThere)
        assertSame(
          await Catalog.openCompact(join(dir, compactName)),
          await Catalog.open(join(dir, metadataName)),
        );
    }
  });
});

test('a list of several chunks is read as a stream, and other work is done meanwhile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'catalog-'));
  const path = join(folder, 'list.json');
  const artist = 'Ünïcödé "{[\\,]}" 𝄞';
  const rows = Array.from({ length: 60_000 }, (_, id) => JSON.stringify({ local_id: id, artist }));
  let longestTurn = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longestTurn = Math.max(longestTurn, performance.now() - last);
    last = performance.now();
  }, 1);
  for (const content of [
    joinRows(rows),
    rows.join('\n'),
    gzipSync(joinRows(rows)),
    Buffer.from(`\uFEFF${joinRows(rows)}`, 'utf16le'),
  ]) {
    await writeFile(path, content);
    const catalog = await Catalog.open(path);
    assert.equal(catalog.size, rows.length);
    for (let row = 0; row < catalog.size; row += 1)
      assert.equal(catalog.columns.artist(row), artist);
  }
  clearInterval(timer);
  await rm(folder, { recursive: true });
  assert.ok(longestTurn < 500, `${String(longestTurn)} ms`); // a few chunks; reading it in one go takes a second
});

test('RowTable finds every id among colliding ones, and no other', async () => {
  const ids = [0, 1, 2 ** 32, 2 ** 33, 2 ** 40 + 1, 2 ** 53 - 1, 16, 32, 48, 7];
  const builder = new AlbumColumnsBuilder();
  const none = { artist: null, albumName: null, genre: null, releaseYear: null, score: null };
  const rest = { bestNewMusic: false, label: null, reviewer: null, coverUrl: null, filename: null };
  for (const id of ids) builder.add({ id, ...none, ...rest });
  const table = await RowTable.build(builder.build());
  for (const [row, id] of ids.entries()) assert.equal(table.rowOf(id), row);
  for (const id of [3, 64, 2 ** 34, 2 ** 53, -1, 0.5]) assert.equal(table.rowOf(id), undefined);
});

test('the service reads the compact form that the manifest lists, unless the list was changed since', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'compact-served-'));
  const [listPath, compactPath] = [join(dir, metadataName), join(dir, compactName)];
  const indexPath = join(dir, indexName);
  try {
    await writeFile(listPath, '[{"local_id": 7, "artist": "In the list"}]');
    const compactFrom = join(dir, 'other.json');
    await writeFile(compactFrom, '[{"local_id": 7, "artist": "In the compact form"}]');
    await writeCompactFile(compactPath, await Catalog.open(compactFrom));
    await writeFlatIndex(
      indexPath,
      { dimension: 2, size: 1 },
      Readable.from([Float32Array.of(1, 0)]),
    );
    await symlink(starter.clipDir, join(dir, 'clip'));
    const names = [metadataName, compactName, indexName];
    const digests = await Promise.all(names.map((name) => digestFile(join(dir, name))));
    const index = { type: 'Flat', metric: 'inner_product', dimension: 2, vectors: 1 };
    const manifest = (files: object) =>
      writeFile(
        join(dir, 'manifest.json'),
        JSON.stringify({
          ...{ format: 1, model: { name: 'm', dtype: 'q8', files: {} }, preprocessing: {} },
          ...{ index, skipped: [], files },
        }),
      );
    const files = Object.fromEntries(names.map((name, i) => [name, digests[i]]));
    const artist = async () => {
      const config = loadConfig({ MODELS_DIR: dir, IMAGES_DIR: dir });
      const { corpus } = createServices(config, createLogger('silent'));
      return (await corpus.album(7))?.artist;
    };
    await manifest(files);
    assert.equal(await artist(), 'In the compact form');
    await manifest({ ...files, [compactName]: undefined });
    assert.equal(await artist(), 'In the list');
    await manifest(files);
    await writeFile(listPath, '[{"local_id": 7, "artist": "By hand"}]');
    await utimes(listPath, new Date(), new Date(Date.now() + 5000));
    await assert.rejects(artist(), {
      code: 'assets_inconsistent',
      message: /metadata_final\.json is not/,
    });
  } finally {
    await rm(dir, { recursive: true });
  }
});

describe('checksums', () => {
  const sizes = [0, 5, 2 ** 20 + 1, 2 ** 24, 2 ** 24 + 1, 2 ** 25 + 7]; // above 16 MiB in a thread
  for (const size of sizes)
    test(`of ${String(size)} bytes`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'checksum-'));
      const path = join(folder, 'file');
      const content = Buffer.alloc(size, 'cover');
      await writeFile(path, content);
      assert.deepEqual(await digestFile(path), {
        bytes: size,
        sha256: createHash('sha256').update(content).digest('hex'),
      });
      await rm(folder, { recursive: true });
    });

  test('of a folder or nothing reject', async () => {
    await assert.rejects(digestFile(tmpdir()), { code: 'EISDIR' });
    await assert.rejects(digestFile(join(tmpdir(), 'nothing here')), { code: 'ENOENT' });
  });
});
