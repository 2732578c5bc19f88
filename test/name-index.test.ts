import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Album } from '../lib/catalog/album.ts';
import { NameIndex, type NamedAlbums } from '../lib/catalog/name-index.ts';
import { nameWords } from '../lib/catalog/name-words.ts';

const albums = [
  ['Radiohead', 'Kid A', 'Capitol', 2000, 10],
  ['Radiohead', 'OK Computer', 'Capitol', 1997, 10],
  ['Various Artists', 'Radiohead', 'Tribute', 2006, 4],
  ['The Stringers', 'A Tribute to Radiohead', 'Tribute', 2003, 2],
  ['Pink Floyd', 'The Dark Side of the Moon', 'Harvest', 1973, 9.3],
  ['Darkside', 'Psychic', 'Matador', 2013, 9],
  ['Björk', 'Post', 'Elektra', 1995, 9.1],
  ['AC/DC', 'Back in Black', 'Atlantic', 1980, 8],
  ['Sigur Rós', 'Ágætis byrjun', 'Fat Cat', 2000, 9.4],
  ['…And You Will Know Us by the Trail of Dead', 'Source Tags & Codes', 'Interscope', 2002, 10],
  ['R.E.M.', 'Murmur', 'I.R.S.', 1983, 10],
  ['!!!', 'Louden Up Now', 'Touch and Go', 2004, 7],
  ['Sinéad O’Connor', "I Do Not Want What I Haven't Got", 'Ensign', 1990, 8.9],
  ['The The', 'Soul Mining', 'Some Bizzare', 1983, 8],
  ['Blackalicious', 'Nia', 'Quannum', 2000, 8],
  ['椎名林檎', '無罪モラトリアム', null, 1999, null],
  [null, null, null, null, null],
].map(
  ([artist, albumName, label, releaseYear, score], id) =>
    ({
      ...{ id, artist, albumName, label, releaseYear, score },
      genre: id === 5 ? 'Electronic' : 'Rock',
      bestNewMusic: id === 9,
    }) as Album,
);
/** The given albums, a number of times over. */
const named = (copies = 1): NamedAlbums => {
  const field =
    <Field extends keyof Album>(name: Field) =>
    (row: number) =>
      albums[row % albums.length]?.[name] ?? null;
  return {
    size: copies * albums.length,
    artist: field('artist'),
    albumName: field('albumName'),
    label: field('label'),
    genre: field('genre'),
    releaseYear: field('releaseYear'),
    score: field('score'),
  };
};
const index = await NameIndex.build(named());
const nameOf = (row: number) => albums[row]?.albumName;
const find = async (query: string, options = {}) =>
  (await index.search(query, { limit: 10, ...options })).map(nameOf);

describe('albums are found by name', () => {
  for (const [query, first] of [
    ['kid a', 'Kid A'],
    ['KID A radiohead', 'Kid A'],
    ['dark side', 'The Dark Side of the Moon'],
    ['the dark side of the moon pink floyd', 'The Dark Side of the Moon'],
    ['bjork', 'Post'],
    ['BJÖRK', 'Post'],
    ['bjo\u0308rk', 'Post'],
    ['AC/DC', 'Back in Black'],
    ['acdc', 'Back in Black'],
    ['ac dc', 'Back in Black'],
    ['ac-dc', 'Back in Black'],
    ['sigur ros agaetis', 'Ágætis byrjun'],
    ['And You Will Know Us', 'Source Tags & Codes'],
    ['source tags and codes', 'Source Tags & Codes'],
    ['REM', 'Murmur'],
    ['r.e.m', 'Murmur'],
    ['!!!', 'Louden Up Now'],
    ['oconnor havent got', "I Do Not Want What I Haven't Got"],
    ["O'Connor", "I Do Not Want What I Haven't Got"],
    ['the the', 'Soul Mining'],
    ['椎名', '無罪モラトリアム'],
    ['atlantic 1980', 'Back in Black'],
    ['matador electronic', 'Psychic'],
    ['radiohead - kid a', 'Kid A'],
    ['source tags + codes', 'Source Tags & Codes'],
    ['o´connor', "I Do Not Want What I Haven't Got"],
  ] as const)
    test(`"${query}" finds ${first}`, async () => {
      assert.equal((await find(query))[0], first);
    });

  for (const [query, first] of [
    ['radiohed kid', 'Kid A'],
    ['radoihead computer', 'OK Computer'],
    ['pink flyod', 'The Dark Side of the Moon'],
    ['blackalicous', 'Nia'],
    ['bjrok', 'Post'],
    ['bjoerk', 'Post'],
    ['murmer', 'Murmur'],
  ] as const)
    test(`"${query}", misspelt, finds ${first}`, async () => {
      assert.equal((await find(query))[0], first);
    });

  for (const end of [3, 5, 8])
    test(`${String(end)} letters of a name find it while it is typed`, async () => {
      assert.ok((await find('radiohead'.slice(0, end))).includes('Kid A'));
    });

  test('the artist comes before a title that is the same, and that before one which contains it', async () => {
    assert.deepEqual((await find('radiohead')).slice(0, 4), [
      'Kid A',
      'OK Computer',
      'Radiohead',
      'A Tribute to Radiohead',
    ]);
  });

  test('two of three words are enough if no album has all, unless every word is required', async () => {
    assert.equal((await find('kid a 1973'))[0], 'Kid A');
    assert.deepEqual(await find('kid a 1973', { everyWord: true }), []);
    assert.deepEqual(await find('kid moon 1234'), []);
  });

  test('a spelling that some album has is not corrected', async () => {
    assert.deepEqual(await find('black'), ['Back in Black', 'Nia']);
  });

  test('only albums that match the filter are found, as many as asked for', async () => {
    const matches = (row: number) => albums[row]?.releaseYear === 1997;
    assert.deepEqual(await find('radiohead', { matches }), ['OK Computer']);
    assert.equal((await find('radiohead', { limit: 1 })).length, 1);
  });

  for (const query of ['', '   ', 'zzzzqqqq', '\u0301', '\u0000', '*', '(('])
    test(`${JSON.stringify(query)} finds nothing`, async () => {
      assert.deepEqual(await find(query), []);
    });

  test('the words of a query are limited, and so is the length of a word with errors', async () => {
    assert.deepEqual(await find(`${'zzzz '.repeat(8)}radiohead`), []);
    assert.deepEqual(await find('z'.repeat(200)), []);
    assert.deepEqual(await find('a.b.c.d.e.f.'.repeat(80)), []);
  });
});

describe('many albums', async () => {
  const copies = 40_000;
  const size = copies * albums.length;
  const many = await NameIndex.build(named(copies));

  test('the event loop runs while a name is searched', async () => {
    let turns = 0;
    const count = () => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    const rows = await many.search('r', { limit: 3 });
    clearImmediate(timer);
    assert.deepEqual(rows, [10, 10 + albums.length, 10 + 2 * albums.length]);
    assert.ok(turns > 1);
  });

  test('a search that nobody waits for ends, and the next one is not disturbed', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const [stopped, waiting] = [1, 2].map(() => many.search('r', { limit: 3, signal }));
    const next = many.search('kid a', { limit: 2 });
    controller.abort(new Error('gone'));
    await assert.rejects(stopped ?? assert.fail(), /^Error: gone$/);
    await assert.rejects(waiting ?? assert.fail(), /^Error: gone$/);
    assert.deepEqual(await next, [0, albums.length]);
  });

  test('rows are found up to the last', async () => {
    const matches = (row: number) => row >= size - albums.length;
    const rows = await many.search('björk', { limit: 2, matches });
    assert.deepEqual(rows, [size - albums.length + 6]);
  });
});

test('words are found among more than one slice of terms', async () => {
  const size = 5000;
  const none = () => null;
  const numbered = await NameIndex.build({
    size,
    artist: (row) => `band${String((row * 7919) % size).padStart(4, '0')}`,
    albumName: (row) => (row === 9 ? 'x'.repeat(1000) : 'Ω™ live'),
    ...{ label: none, genre: none, releaseYear: none, score: none },
  });
  for (const row of [0, 1, 1234, size - 1]) {
    const name = `band${String((row * 7919) % size).padStart(4, '0')}`;
    assert.deepEqual(await numbered.search(name, { limit: 2 }), [row]);
  }
  assert.deepEqual(await numbered.search('ωtm', { limit: 1 }), [0]);
  assert.deepEqual(await numbered.search('x'.repeat(200), { limit: 2 }), [9]);
});

test('the words of a name have their spellings', () => {
  assert.deepEqual(nameWords('AC/DC live'), [[['ac', 'dc'], ['acdc']], [['live']]]);
  assert.deepEqual(nameWords('  Straße Łódź Þór '), [[['strasse']], [['lodz']], [['thor']]]);
  assert.deepEqual(nameWords('!!!'), [[['!!!']]]);
});
