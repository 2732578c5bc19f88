import assert from 'node:assert/strict';
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Catalog } from '../lib/catalog/catalog.ts';
import { parsePandasJson } from '../lib/catalog/pandas-json.ts';
import { openMetadata } from '../lib/catalog/read-metadata.ts';
import { readRows } from '../pipeline/indexing/metadata-file.ts';

const usual = {
  local_id: 3,
  filename: 'album_3.jpg',
  artist: 'Björk',
  album_name: 'Post',
  genre: 'Electronic / Pop/R&B',
  label: null,
  release_year: 1995.0,
  score: 9.1,
  best_new_music: 1,
  reviewer_name: null,
  cover_url: 'https://example.org/3.jpg',
};
const album = {
  artist: 'Björk',
  albumName: 'Post',
  genre: 'Electronic / Pop/R&B',
  releaseYear: 1995,
  score: 9.1,
  bestNewMusic: true,
  coverUrl: 'https://example.org/3.jpg',
};

describe('album lists in common formats', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'metadata-'))));
  after(() => rm(folder, { recursive: true }));
  const written = async (content: string | Uint8Array) => {
    const path = join(folder, 'list.json');
    await writeFile(path, content);
    return path;
  };
  const open = async (content: unknown) =>
    Catalog.open(
      await written(
        typeof content === 'string' || content instanceof Uint8Array
          ? content
          : JSON.stringify(content),
      ),
    );
  const about = (catalog: Catalog, row = 0) => {
    const { artist, albumName, genre, releaseYear, score, bestNewMusic, coverUrl } =
      catalog.atRow(row);
    return { artist, albumName, genre, releaseYear, score, bestNewMusic, coverUrl };
  };

  const list = JSON.stringify([usual, { ...usual, local_id: 4 }]);
  const records = [usual, { ...usual, local_id: 4 }];
  const names = Object.keys(usual);
  const forms: Record<string, string | Uint8Array> = {
    'a list': list,
    'a list with a byte order mark': `\uFEFF${list}`,
    'a gzipped list': gzipSync(list),
    'UTF-16 little-endian': Buffer.from(`\uFEFF${list}`, 'utf16le'),
    'UTF-16 big-endian': Buffer.from(`\uFEFF${list}`, 'utf16le').swap16(),
    'JSON Lines': records.map((one) => JSON.stringify(one)).join('\n') + '\n',
    'JSON Lines with NaN': records
      .map((one) => JSON.stringify(one).replace('"label":null', '"label":NaN'))
      .join('\r\n'),
    'orient="split"': JSON.stringify({
      columns: names,
      index: [0, 1],
      data: records.map((one) => Object.values(one)),
    }),
    'orient="table"': JSON.stringify({ schema: { fields: [] }, data: records }),
    'a list under a name': JSON.stringify({ albums: records, count: 2 }),
  };
  for (const [form, content] of Object.entries(forms))
    test(`${form} is read`, async () => {
      const catalog = await open(content);
      assert.equal(catalog.size, 2);
      assert.deepEqual(about(catalog), album);
      assert.deepEqual([...catalog.ids()], [3, 4]);
      assert.deepEqual(catalog.issues, []);
      // the command line copies the rows as written
      const rows: object[] = [];
      for await (const group of readRows(await written(content)))
        rows.push(...group.map((row) => JSON.parse(row.replace('NaN', 'null')) as object));
      assert.deepEqual(rows, records);
    });

  for (const [what, content, sentence] of [
    [
      'orient="columns"',
      { artist: { 0: 'A', 1: 'B' }, local_id: { 0: 1, 1: 2 } },
      /orient="columns" or "index".*df\.to_json\(path, orient='records'\)/,
    ],
    ['orient="index"', { 0: usual, 1: usual }, /orient="columns" or "index"/],
    ['one album', usual, /found an object, one album/],
    ['text', 'artist,album\nA,B', /not valid JSON/],
    ['half a list', list.slice(0, -40), /not valid JSON; it ends too early, after \d+ bytes/],
    ['nothing', ' \n', /it is empty/],
    [
      'no ids',
      [{ artist: 'A', title: 'B' }],
      /none of its columns is the albums' id \(local_id, id, album_id\)/,
    ],
    [
      'orient="split" with a row that is shorter than its columns',
      { columns: names, data: [Object.values(usual), [4]] },
      /expected a list of \d+ values, one for each of its columns, at element 1 of its data/,
    ],
    ['damaged gzip', gzipSync(list).subarray(0, 60), /compressed with gzip, and damaged/],
  ] as const)
    test(`${what} is refused with the reason`, async () => {
      await assert.rejects(open(content), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'catalog_unreadable');
        assert.match(error.message, sentence);
        return true;
      });
    });

  test('reads Latin-1 and reports it', async () => {
    const catalog = await open(Buffer.from(list, 'latin1'));
    assert.equal(catalog.atRow(0).artist, 'Björk');
    assert.match(catalog.issues.join(), /is not UTF-8: it was read as Latin-1/);
  });

  test('counts rows of UTF-8 once decoded as Latin-1 as dirty', async () => {
    const catalog = await open([
      { ...usual, artist: Buffer.from('Björk').toString('latin1') },
      { ...usual, local_id: 5, album_name: 'Post\uFFFD' },
      { ...usual, local_id: 6, artist: 'Ãlan Âge' },
    ]);
    assert.deepEqual(Object.fromEntries(catalog.dataIssues), { garbled_text: 2 });
  });

  for (const row of [
    {
      id: 3,
      artist: 'Björk',
      title: 'Post',
      genres: ['Electronic', 'Pop/R&B'],
      year: '1995',
      rating: '9.1',
      bnm: true,
      image: album.coverUrl,
    },
    {
      ID: '3',
      Artist: 'Björk',
      Album: 'Post',
      Genre: 'Electronic, Pop/R&B',
      'Release Date': '1995-06-13',
      Score: '9.1/10',
      'Best New Music': 'yes',
      'Cover URL': album.coverUrl,
    },
    {
      albumId: 3,
      artistName: 'Björk',
      albumTitle: 'Post',
      genre: 'Electronic; Pop/R&B',
      releaseDate: '06/13/1995',
      rating: '9,1',
      bestNewMusic: '1',
      imageUrl: album.coverUrl,
    },
    {
      local_id: 3.0,
      band: 'Björk',
      name: 'Post',
      genre: 'Electronic|Pop/R&B',
      release_date: 803_001_600_000,
      score: '91%',
      best_new_music: 1.0,
      cover: album.coverUrl,
    },
    {
      local_id: 3,
      artist: ' Björk ',
      album: 'Post',
      genre: ['Electronic / Pop/R&B'],
      released: 803_001_600,
      score: '91/100',
      best_new_music: 'True',
      artwork: album.coverUrl,
    },
  ])
    test(`reads ${JSON.stringify(row).slice(0, 60)}… as the same album`, async () => {
      const catalog = await open([row]);
      assert.deepEqual(about(catalog), album);
      assert.deepEqual(catalog.issues, []);
      assert.equal(catalog.dirtyRows, 0);
    });

  test('decides by the whole column whether scores are out of 10 or 100', async () => {
    const catalog = await open(
      [81, 9, 64, 100].map((score, i) => ({ ...usual, local_id: i, score })),
    );
    assert.deepEqual(
      [0, 1, 2, 3].map((row) => catalog.atRow(row).score),
      [8.1, 0.9, 6.4, 10],
    );
    assert.match(
      catalog.issues.join(),
      /Most scores are above 10: all are read as scores out of 100/,
    );
    const ten = await open([8.1, 9, 64].map((score, i) => ({ ...usual, local_id: i, score })));
    assert.deepEqual(
      [0, 1, 2].map((row) => ten.atRow(row).score),
      [8.1, 9, null],
    );
    assert.deepEqual(Object.fromEntries(ten.dataIssues), { implausible_value: 1 });
  });

  for (const absent of ['NULL', 'None', 'N/A', 'nan', '', '  ', '<NA>', null])
    test(`treats ${JSON.stringify(absent)} as a missing value`, async () => {
      const catalog = await open([
        {
          ...usual,
          artist: absent,
          album_name: absent,
          genre: absent,
          release_year: absent,
          score: absent,
        },
      ]);
      const { artist, albumName, genre, releaseYear, score } = catalog.atRow(0);
      assert.deepEqual(
        [artist, albumName, genre, releaseYear, score],
        [null, null, null, null, null],
      );
      assert.equal(catalog.dataIssues.get('implausible_value'), undefined);
    });

  test('reports fields that no album has', async () => {
    const catalog = await open([{ local_id: 1, artist: 'A', title: 'B' }]);
    assert.deepEqual(catalog.issues, [
      'No album has a genre: expected a column genre, genres, style or similar.',
      'No album has a release year: expected a column release_year, year, year_released or similar.',
      'No album has a score: expected a column score, rating, pitchfork_score or similar.',
      'No album is marked as Best New Music or not: expected a column best_new_music.',
    ]);
  });

  test('counts invalid years and scores', async () => {
    const catalog = await open([{ ...usual, release_year: 'soon', score: 'good' }]);
    assert.deepEqual(Object.fromEntries(catalog.dataIssues), { implausible_value: 2 });
  });
});

describe('parsed elements are those that are split', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'elements-'))));
  after(() => rm(folder, { recursive: true }));

  const elements = async (content: string) => {
    const path = join(folder, 'list.json');
    await writeFile(path, content);
    const { rows, values } = await openMetadata(path);
    const read = async <T>(groups: AsyncGenerator<readonly T[]>) => {
      const all: T[] = [];
      for await (const group of groups) all.push(...group);
      return all;
    };
    const [split, parsed] = await Promise.allSettled([read(rows()), read(values())]);
    return { split, parsed };
  };

  const many = (text: (id: number) => string) =>
    `[${Array.from({ length: 20_000 }, (_, id) => text(id)).join(',\n ')}]`;
  const lists = {
    'with NaN': many((id) => `{"local_id": ${String(id)}, "score": NaN, "label": "NaN, -Infinity"}`),
    'with the end of an element in strings': many((id) => `{"local_id": ${String(id)}, "artist": "}, {"}`),
    'with objects inside': many((id) => `{"local_id": ${String(id)}, "more": {"a": [{"b": 1}, {"c": 2}]}, "x": 1}`),
    'with objects inside at last': `${many((id) => `{"local_id": ${String(id)}}`).slice(0, -1)}, {"more": {"a": {}}, "local_id": 5}]`,
    'with long elements': many((id) => (id % 5000 === 0 ? `{"local_id": ${String(id)}, "label": "${'}'.repeat(1_300_000)}"}` : `{"local_id": ${String(id)}}`)),
    'of other things': '[1, [2, {"a": 3}], {"b": 4}, "five", {"c": 6}, null]',
    empty: '[ ]',
    'of one': '[{"local_id": 1}]',
  }; // prettier-ignore
  for (const [name, content] of Object.entries(lists))
    test(name, async () => {
      const { split, parsed } = await elements(content);
      assert.ok(split.status === 'fulfilled');
      assert.ok(parsed.status === 'fulfilled', name);
      assert.deepEqual(parsed.value, split.value.map(parsePandasJson));
    });

  test(
    'the file is closed if the reader stops',
    { skip: process.platform !== 'linux' && 'only Linux lists open files in /proc' },
    async () => {
      const path = join(folder, 'list.json.gz'); // one that is read as a stream
      const content = many(
        (id) => `{"local_id": ${String(id)}, "label": "${String(Math.sin(id))}"}`,
      );
      await writeFile(path, gzipSync(content));
      const { rows, values } = await openMetadata(path);
      for (const groups of [rows(), values()]) {
        await groups.next();
        await groups.return(undefined);
      }
      await sleep(50);
      const open = await Promise.all(
        (await readdir('/proc/self/fd')).map((name) =>
          readlink(join('/proc/self/fd', name)).catch(() => ''),
        ),
      );
      assert.ok(!open.includes(path));
    },
  );

  for (const content of [
    ...[
      '[{"a": 1}, {"b": 2},]',
      '[{"a": 1}, , {"b": 2}]',
      '[{"a": 1}, {"b": 2}',
      '[{"a": 1}, {"b": 2}],',
    ],
    ...['[{"a": 1}, {"b": 2}] x', '[{"a": 1}, {"b', '[{"a": 1}, {"b": "2\\'],
  ])
    // prettier-ignore
    test(`both refuse ${content}`, async () => {
      const { split, parsed } = await elements(content);
      assert.ok(split.status === 'rejected' && parsed.status === 'rejected');
      assert.equal(String(parsed.reason), String(split.reason));
    });
});
