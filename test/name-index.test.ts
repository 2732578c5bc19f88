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

test('the words of a name have their spellings', () => {
  assert.deepEqual(nameWords('AC/DC live'), [[['ac', 'dc'], ['acdc']], [['live']]]);
  assert.deepEqual(nameWords('  Straße Łódź Þór '), [[['strasse']], [['lodz']], [['thor']]]);
  assert.deepEqual(nameWords('!!!'), [[['!!!']]]);
});
