import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Album } from '../lib/catalog/album.ts';
import type { AlbumFilter } from '../lib/catalog/filter.ts';
import { LanceCorpus } from '../lib/lance/lance-corpus.ts';
import { lanceLocation } from '../lib/lance/lance-location.ts';
import { LanceSource } from '../lib/lance/lance-source.ts';
import { createLogger } from '../lib/log.ts';
import { addSet, presentIds, removeFromTable } from '../pipeline/lance/change-table.ts';
import { importSet } from '../pipeline/lance/import-set.ts';
import { fewestIndexed } from '../pipeline/lance/publish.ts';
import { verifyTable } from '../pipeline/lance/verify-table.ts';
import {
  eventsOf,
  groupedVector,
  lanceSkip,
  madeUpAlbum,
  madeUpVector,
  passes,
  writeMadeUpSet,
} from './support/lance.ts';
import { root } from './support/requests.ts';

const dimension = 16;
const rowsTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => from + i);
const locationOf = (dir: string) =>
  lanceLocation(`lance://${dir}/table`, { endpoint: undefined, pathStyle: false });
const rowOf = (id: number) => (id - 1) / 3;
const log = createLogger('silent');

/** What a search must find, from the albums themselves. */
function nearestOf(
  query: Float32Array,
  rows: readonly number[],
  k: number,
  filter: AlbumFilter,
  vectorOf = madeUpVector,
) {
  return rows
    .filter((row) => passes(madeUpAlbum(row), filter))
    .map((row) => ({
      id: madeUpAlbum(row).id,
      similarity: vectorOf(row, query.length).reduce(
        (sum, value, i) => sum + value * (query[i] ?? 0),
        0,
      ),
    }))
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, k);
}

describe('a LanceDB table', { skip: lanceSkip }, () => {
  let dir: string;
  let corpus: LanceCorpus;
  const rows = rowsTo(400);
  const query = madeUpVector(100_000, dimension);

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lance-'));
    await writeMadeUpSet(dir, rows, dimension);
    await eventsOf(importSet({ dir, location: locationOf(dir), block: 150 }));
    corpus = new LanceCorpus(locationOf(dir));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  const filters: AlbumFilter[] = [
    {},
    { genres: ['rock'] },
    { genres: ["POP/R'B", 'Jazz'] },
    { genres: ['Rock', 'no such genre'], yearMin: 1980 },
    { yearMin: 1970, yearMax: 1971 },
    { yearMax: 1965 },
    { scoreMin: 9.9 },
    { bestNewMusic: true },
    { bestNewMusic: false, scoreMin: 0, genres: ['electronic'] },
    { genres: ['no such genre'] },
    { yearMin: 2999 },
  ];
  for (const filter of filters)
    test(`finds the nearest albums: ${JSON.stringify(filter)}`, async () => {
      const found = await corpus.nearest(query, { k: 12, filter });
      const wanted = nearestOf(query, rows, 12, filter);
      assert.deepEqual(
        found.map(({ album }) => album.id),
        wanted.map(({ id }) => id),
      );
      for (const [i, { similarity }] of found.entries())
        assert.ok(Math.abs(similarity - (wanted[i]?.similarity ?? NaN)) < 1e-5);
    });

  test('returns every album if there are fewer than asked for', async () => {
    assert.equal((await corpus.nearest(query, { k: 1000, filter: {} })).length, 400);
  });

  test('gives albums as they were imported, and their embeddings', async () => {
    for (const row of [0, 6, 8, 10, 399]) {
      const album = madeUpAlbum(row);
      assert.deepEqual(await corpus.album(album.id), album);
      assert.deepEqual(await corpus.embeddingOf(album.id), madeUpVector(row, dimension));
    }
    assert.equal(await corpus.album(2), undefined);
    assert.equal(await corpus.embeddingOf(2), undefined);
  });

  test('gives the similarities of the albums that exist and pass the filter', async () => {
    const some = [1, 4, 2, 301].map(Number);
    const found = await corpus.similarities(query, some, { filter: {} });
    assert.deepEqual([...found.keys()].sort(), [1, 301, 4]);
    for (const [id, similarity] of found)
      assert.ok(
        Math.abs(similarity - (nearestOf(query, [rowOf(id)], 1, {})[0]?.similarity ?? NaN)) < 1e-6,
      );
    const marked = await corpus.similarities(query, some, { filter: { bestNewMusic: true } });
    assert.deepEqual([...marked.keys()], [1]);
    assert.equal((await corpus.similarities(query, [], { filter: {} })).size, 0);
  });

  const names: [words: string, isRight: (album: Album) => boolean][] = [
    ['bjork', ({ artist }) => artist === 'Björk'],
    ['BJÖ', ({ artist }) => artist === 'Björk'],
    ['acdc', ({ artist }) => artist === 'AC/DC'],
    ['ac/dc', ({ artist }) => artist === 'AC/DC'],
    ['radiohaed', ({ artist }) => artist === 'Radiohead'],
    ['the beatles abbey', ({ albumName }) => albumName?.startsWith('Abbey Road') === true],
    ['miles 19', ({ artist }) => artist === 'Miles Davis'],
  ];
  for (const [words, isRight] of names)
    test(`finds albums by name: ${words}`, async () => {
      const found = await corpus.byName(words, { k: 5, filter: {} });
      assert.ok(found.length > 0);
      for (const album of found) assert.ok(isRight(album), JSON.stringify(album));
    });

  test('finds names under a filter, a page at a time, and none where there is none', async () => {
    const filter = { genres: ['Jazz'] };
    const all = await corpus.byName('sigur ros', { k: 4, filter });
    assert.equal(all.length, 4);
    for (const album of all) assert.deepEqual([album.artist, album.genre], ['Sigur Rós', 'Jazz']);
    const page = await corpus.byName('sigur ros', { k: 2, offset: 2, filter });
    assert.deepEqual(page, all.slice(2));
    assert.deepEqual(await corpus.byName('zzzzqqqq', { k: 4, filter: {} }), []);
    assert.deepEqual(await corpus.byName("'; DROP TABLE albums --", { k: 4, filter: {} }), []);
    assert.deepEqual(await corpus.byName('  ', { k: 4, filter: {} }), []);
  });

  test('counts its albums', async () => {
    const statistics = await corpus.statistics();
    const albums = rows.map(madeUpAlbum);
    const years = albums.flatMap(({ releaseYear }) => releaseYear ?? []);
    const scores = albums.flatMap(({ score }) => score ?? []);
    assert.equal(await corpus.size(), 400);
    assert.equal(await corpus.dimension(), dimension);
    assert.deepEqual(statistics, {
      totalAlbums: 400,
      genres: [
        { genre: 'Rock', albums: 160 },
        { genre: 'Electronic', albums: 80 },
        { genre: 'Jazz', albums: 80 },
        { genre: "Pop/R'B", albums: 80 },
      ],
      topGenres: statistics.genres,
      firstYear: Math.min(...years),
      lastYear: Math.max(...years),
      meanScore: Math.round((100 * scores.reduce((a, b) => a + b)) / scores.length) / 100,
      bestNewMusic: albums.filter(({ bestNewMusic }) => bestNewMusic).length,
    });
    assert.deepEqual(await corpus.notesOn({ genres: ['Jaz', 'rock'] }), [
      'No album has the genre "Jaz"; the nearest is "Jazz".',
    ]);
  });

  test('is found sound by verify', async () => {
    const findings = (await eventsOf(verifyTable(locationOf(dir)))).filter(
      (event) => event.type === 'finding',
    );
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok'),
      [],
    );
    assert.match(findings[0]?.message ?? '', /: 400 albums$/);
  });

  test('shows a change when it is complete, and the old version until then', async () => {
    const other = await mkdtemp(join(tmpdir(), 'lance-'));
    try {
      await writeMadeUpSet(other, rows, dimension);
      const location = locationOf(other);
      await eventsOf(importSet({ dir: other, location }));
      const source = new LanceSource(location, log, { reloadSeconds: 0 });
      const before = source.corpus;
      await before.load();

      const more = await mkdtemp(join(other, 'more-'));
      await writeMadeUpSet(more, rowsTo(420, 400), dimension);
      const newest = madeUpAlbum(410);
      for await (const event of addSet(more, location)) {
        await source.reload();
        const expected = event.type === 'served' ? 420 : 400;
        assert.equal(await source.corpus.size(), expected, event.type);
        const found = await source.corpus.nearest(madeUpVector(410, dimension), {
          ...{ k: 1, filter: {} },
        });
        assert.equal(found[0]?.album.id === newest.id, event.type === 'served', event.type);
      }
      assert.notEqual(source.corpus.version, before.version);
      assert.equal(await before.size(), 400);
      assert.equal(await before.album(newest.id), undefined);
      assert.deepEqual(await source.corpus.album(newest.id), newest);
      assert.deepEqual((await source.corpus.byName('410', { k: 1, filter: {} }))[0], newest);
      const { present } = await presentIds(location, [newest.id, 1, 2]);
      assert.deepEqual(present, new Set([newest.id, 1]));

      await eventsOf(removeFromTable(location, [1, newest.id]));
      await source.reload();
      assert.equal(await source.corpus.size(), 418);
      assert.equal(await source.corpus.album(1), undefined);
      const left = rowsTo(420).filter((row) => row !== 0 && row !== 410);
      assert.deepEqual(
        (await source.corpus.nearest(query, { k: 30, filter: {} })).map(({ album }) => album.id),
        nearestOf(query, left, 30, {}).map(({ id }) => id),
      );
      await assert.rejects(eventsOf(removeFromTable(location, [4, 1])), {
        code: 'album_not_found',
      });
      assert.equal(await new LanceCorpus(location).size(), 418);
    } finally {
      await rm(other, { recursive: true, force: true });
    }
  });

  test('continues an interrupted import, behind which the old version is served', async () => {
    const other = await mkdtemp(join(tmpdir(), 'lance-'));
    try {
      const location = locationOf(other);
      await writeMadeUpSet(other, rowsTo(50), dimension);
      await eventsOf(importSet({ dir: other, location }));
      await writeMadeUpSet(other, rows, dimension);
      const interrupt = new AbortController();
      const importing = importSet({ dir: other, location, block: 100, signal: interrupt.signal });
      await assert.rejects(async () => {
        for await (const event of importing)
          if (event.type === 'wrote_albums' && event.done === 200) interrupt.abort();
      });
      assert.equal(await new LanceCorpus(location).size(), 50);
      await assert.rejects(eventsOf(importSet({ dir: other, location })), {
        code: 'assets_inconsistent',
        message: /was interrupted: continue with --resume, or start over with --restart/,
      });
      const events = await eventsOf(importSet({ dir: other, location, resume: true, block: 100 }));
      assert.deepEqual(events[0], { type: 'resumed', done: 200, total: 400 });
      const resumed = new LanceCorpus(location);
      assert.equal(await resumed.size(), 400);
      assert.deepEqual(
        (await resumed.nearest(query, { k: 20, filter: {} })).map(({ album }) => album.id),
        nearestOf(query, rows, 20, {}).map(({ id }) => id),
      );
    } finally {
      await rm(other, { recursive: true, force: true });
    }
  });

  test('searches an index of its embeddings if it is large, and finds nearly all', async () => {
    const large = await mkdtemp(join(tmpdir(), 'lance-'));
    try {
      const all = rowsTo(fewestIndexed);
      await writeMadeUpSet(large, all, 64, groupedVector);
      const location = locationOf(large);
      await eventsOf(importSet({ dir: large, location }));
      const indexed = new LanceCorpus(location);
      for (const filter of [{}, { yearMin: 1960, yearMax: 1960 }]) {
        let found = 0;
        for (let i = 0; i < 20; i += 1) {
          const one = groupedVector(200_017 + i, 64);
          const wanted = nearestOf(one, all, 10, filter, groupedVector);
          const ids = new Set(wanted.map(({ id }) => id));
          const nearest = await indexed.nearest(one, { k: 10, filter });
          assert.equal(nearest.length, 10);
          found += nearest.filter(({ album }) => ids.has(album.id)).length;
        }
        assert.ok(found >= 190, `${String(found)} of 200 under ${JSON.stringify(filter)}`);
      }
      const recall = (await eventsOf(verifyTable(location))).find(
        (event) => event.type === 'finding' && event.check === 'recall',
      );
      assert.equal(recall?.type === 'finding' && recall.level, 'ok');
    } finally {
      await rm(large, { recursive: true, force: true });
    }
  });

  test('says what is wrong: no table, or a damaged one', async () => {
    const other = await mkdtemp(join(tmpdir(), 'lance-'));
    try {
      const location = locationOf(other);
      await assert.rejects(new LanceCorpus(location).size(), {
        code: 'assets_missing',
        message: `There is no table of albums in ${location.place}: create it with index import or index build.`,
      });
      await writeMadeUpSet(other, rowsTo(50), dimension);
      await eventsOf(importSet({ dir: other, location }));
      const data = join(other, 'table', 'albums.lance', 'data');
      for (const name of await readdir(data)) await truncate(join(data, name), 100);
      await assert.rejects(new LanceCorpus(location).nearest(query, { k: 1, filter: {} }), {
        code: 'index_unreadable',
      });
      const findings = await eventsOf(verifyTable(location));
      assert.ok(findings.some((event) => event.type === 'finding' && event.level === 'error'));
    } finally {
      await rm(other, { recursive: true, force: true });
    }
  });
});

test('says how to install LanceDB if it is missing', { skip: lanceSkip }, () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      ...['--require', join(root, 'test', 'support', 'without-lance.cjs')],
      ...[join(root, 'dist', 'cli', 'shazam-visual.cjs'), 'verify', 'lance:///tmp/none', '--json'],
    ],
    { encoding: 'utf8' },
  );
  assert.equal(status, 3);
  assert.match(stdout, /"code":"invalid_config"/);
  assert.match(stdout, /not installed: run npm install .*@lancedb\/lancedb@0\.31\.0/);
});
