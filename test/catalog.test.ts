import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Catalog } from '../lib/catalog/catalog.ts';
import { parsePandasJson } from '../lib/catalog/pandas-json.ts';
import { inTurns } from '../lib/concurrency/in-turns.ts';
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
      assert.deepEqual([...(catalog.rowsMatching(filter) ?? [])], [...rows]);
    });

  test('an empty filter gives no list of rows', async () => {
    assert.equal((await open(dirty)).rowsMatching({}), undefined);
  });

  test('statistics count an album with two genres in both, and include scores of 0', async () => {
    const catalog = await open(dirty);
    assert.deepEqual(catalog.statistics(), {
      totalAlbums: 4,
      topGenres: [
        { genre: 'Electronic', albums: 1 },
        { genre: 'Pop/R&B', albums: 1 },
        { genre: 'Rock', albums: 1 },
      ],
      firstYear: 1999,
      lastYear: 2020,
      meanScore: 4.63,
      bestNewMusic: 1,
    });
    assert.deepEqual(catalog.years(), { first: 1999, last: 2020 });
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
            .genres()
            .map(({ genre }) => genre)
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
        assert.deepEqual(catalog.years(), { first: 1952, last: 2023 });
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
