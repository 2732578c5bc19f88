import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Catalog } from '../lib/catalog/catalog.ts';
import type { NameIndex } from '../lib/catalog/name-index.ts';
import { FileCorpus } from '../lib/search/file-corpus.ts';
import { usableCores } from '../lib/concurrency/cores.ts';
import { AppError } from '../lib/errors.ts';
import { lazy } from '../lib/concurrency/lazy.ts';
import { SearchService, type Refinement } from '../lib/search/search-service.ts';
import type { EncodedPhoto, Photo } from '../lib/clip/encoder-worker.ts';
import type { FeatureIndex } from '../lib/identify/feature-index.ts';
import type { Outline, Sighting } from '../lib/identify/native.ts';
import type { VectorIndex } from '../lib/vectors/vector-index.ts';
import { bitmapOf, rowsIn } from './support/bitmaps.ts';

const nothing = { rows: new Int32Array(0), distances: new Float32Array(0) };

const square = (left: number, top: number, edge: number): Outline => [
  [left, top],
  [left + edge, top],
  [left + edge, top + edge],
  [left, top + edge],
];

/** The rows that a search is limited to. */
const rowsOf = (among: Uint32Array | Uint8Array): number[] =>
  among instanceof Uint8Array ? rowsIn(among) : [...among];

/** A service whose encoders record what they encode and, if `held`, wait until `go` is called. */
function makeService({
  waiting = 2,
  kept = 2,
  held = false,
  search = (_query: Float32Array, _k: number, _among?: Uint32Array | Uint8Array) =>
    Promise.resolve(nothing),
  dispose = (): void => undefined,
  /** The sightings in every photo; without it nothing is identified. */
  sightings = undefined as (() => Promise<Sighting[]>) | undefined,
  /** The rows that pass every filter; without it, filters are empty. */
  passing = undefined as readonly number[] | undefined,
  embed = (_query: string) => [0, 0],
  /** The rows that every name finds. */
  named = [] as number[],
} = {}) {
  const encoded: string[] = [];
  let go: () => void = () => undefined;
  const gone = held ? new Promise<void>((resolve) => (go = resolve)) : Promise.resolve();
  const encode = async (given: Buffer | string | Photo) => {
    const photo = typeof given === 'object' && 'amount' in given;
    const query = String(photo ? given.picture : given);
    encoded.push(photo ? `photo ${query}` : query);
    await gone;
    if (query === 'damaged') throw new AppError('unreadable_image', 'It is damaged.');
    const embedding = Float32Array.from(embed(query));
    const nothing = { codes: new Uint8Array(0), places: new Uint8Array(0) };
    return photo ? { embedding, features: { ...nothing, width: 100, height: 200 } } : embedding;
  };
  const index = {
    ...{ search, dispose },
    vectorOf: () => Float32Array.from(embed('album')),
    similarity: (distance: number) => distance,
  } as unknown as VectorIndex;
  const catalog = {
    bitsMatching: () => passing && bitmapOf(passing, 32),
    rowMatcher: () => (row: number) => passing?.includes(row) ?? true,
    atRow: (row: number) => ({ id: 100 + row }),
    notesOn: () => [],
    rowOf: (id: number) => Math.max(0, id - 100),
  } as unknown as Catalog;
  let closed = 0;
  const features =
    sightings && ({ sightings, close: () => (closed += 1) } as unknown as FeatureIndex);
  const names = { search: () => named } as unknown as NameIndex;
  const makeCorpus = () =>
    new FileCorpus({
      catalog: lazy(() => Promise.resolve(catalog)),
      names: lazy(() => Promise.resolve(names)),
      index: lazy(() => Promise.resolve(index)),
      features: lazy(() => Promise.resolve(features ?? null)),
    });
  let corpus = makeCorpus();
  const imageEncoder = () =>
    Promise.resolve({ encode } as {
      encode: ((query: Buffer) => Promise<Float32Array>) &
        ((query: Photo) => Promise<EncodedPhoto>);
    });
  const service = new SearchService({
    ...{ imageEncoder, textEncoder: () => Promise.resolve({ encode }) as never },
    ...{ corpus: () => corpus, waiting, kept },
  });
  const options = { k: 1, filter: {} };
  return {
    encoded,
    go: () => {
      go();
    },
    corpus,
    /** Replaces the served files by others. */
    replace: () => {
      const old = corpus;
      corpus = makeCorpus();
      old.retire();
    },
    closed: () => closed,
    service,
    picture: (text: string, more: { identify?: boolean; k?: number; offset?: number } = {}) =>
      service.byImage(Buffer.from(text), { ...options, ...more }),
    text: (words: string) => service.byText(words, options),
    similar: (signal?: AbortSignal) =>
      service.byAlbum(1, { ...options, ...(signal && { signal }) }),
  };
}

describe('cached queries', () => {
  test('repeated pictures and texts are not encoded again', async () => {
    const { encoded, picture, text } = makeService();
    assert.equal((await picture('a')).cached, false);
    assert.equal((await picture('a')).cached, true);
    assert.equal((await text('a')).cached, false, 'a text is no picture');
    assert.equal((await text('a')).cached, true);
    assert.deepEqual(encoded, ['a', 'a']);
  });

  test('spaces and Unicode normal forms do not make a different text', async () => {
    const { encoded, text } = makeService();
    await text('Bjo\u0308rk  live');
    assert.equal((await text(' Bj\u00f6rk\tlive ')).cached, true);
    assert.equal(encoded.length, 1);
  });

  test('the least recently used query is evicted', async () => {
    const { picture } = makeService({ kept: 2 });
    for (const name of ['a', 'b', 'a', 'c']) await picture(name);
    assert.equal((await picture('a')).cached, true);
    assert.equal((await picture('b')).cached, false);
  });

  test('failures to encode are not cached', async () => {
    const { encoded, picture } = makeService();
    for (let i = 0; i < 2; i += 1)
      await assert.rejects(picture('damaged'), { code: 'unreadable_image' });
    assert.equal(encoded.length, 2);
  });

  test('nothing is cached with a capacity of 0', async () => {
    const { picture } = makeService({ kept: 0 });
    await picture('a');
    assert.equal((await picture('a')).cached, false);
  });
});

describe('places in the queue', () => {
  test('waiting pictures do not block searches by text or by album', async () => {
    const { go, picture, text, similar, service } = makeService({ waiting: 2, held: true });
    const pictures = [picture('a'), picture('b')];
    await assert.rejects(picture('c'), {
      code: 'busy',
      message: /^2 pictures are already waiting/,
    });
    assert.throws(
      () => {
        service.assertRoomForPicture();
      },
      { code: 'busy' },
    );
    assert.equal((await similar()).cached, false);
    const texts = [text('a'), text('b')];
    await assert.rejects(text('c'), { code: 'busy' });
    go();
    await Promise.all([...pictures, ...texts]);
    service.assertRoomForPicture();
    await picture('c');
  });

  test('cached queries need no place', async () => {
    const { go, picture } = makeService({ waiting: 1, held: true });
    const first = picture('a');
    go();
    await first;
    assert.equal((await picture('a')).cached, true);
  });
});

describe('searches of the index', () => {
  /** Searches that last until `end` is called. */
  const slowly = () => {
    const running: (() => void)[] = [];
    return {
      running,
      search: () =>
        new Promise<typeof nothing>((resolve) => {
          running.push(() => {
            resolve(nothing);
          });
        }),
      end: async () => {
        for (const end of running.splice(0)) end();
        await nextTurn();
      },
    };
  };

  test('at most one filtered search runs per core, and aborted ones are skipped', async () => {
    const { running, search, end } = slowly();
    const { similar } = makeService({ search, passing: [1, 2] });
    const leaving = new AbortController();
    const first = Array.from({ length: usableCores() }, () => similar());
    const left = assert.rejects(similar(leaving.signal), { name: 'AbortError' });
    const last = similar();
    await nextTurn();
    assert.equal(running.length, usableCores());
    leaving.abort();
    await end();
    await left;
    await Promise.all(first);
    assert.equal(running.length, 1);
    await end();
    await last;
  });

  test('a replaced corpus is kept until its searches end', async () => {
    const { search, end } = slowly();
    let disposed = false;
    const { corpus, similar } = makeService({ search, dispose: () => void (disposed = true) });
    const searching = similar();
    await nextTurn();
    corpus.retire();
    assert.ok(!disposed);
    await end();
    await searching;
    assert.ok(disposed);
  });
});

describe('albums in a picture', () => {
  const sure = {
    ...{ cells: 20, visible: 100 },
    get spots() {
      // below the outlines of all others
      return Float32Array.from({ length: 60 }, (_, i) => (i % 3 === 2 ? i / 3 : 190));
    },
  };
  /** Row 7 is small, row 5 large; row 6 fits its place as surely, row 4 less surely; row 3 is too unsure. */
  const sightings = () =>
    Promise.resolve([
      { ...sure, row: 7, points: 20, outline: square(60, 150, 20) },
      { ...sure, row: 5, points: 50, outline: square(0, 0, 50) },
      { ...sure, row: 6, points: 45, outline: square(1, 1, 50) },
      { ...sure, row: 4, points: 30, outline: square(0, 0, 50) },
      { ...sure, row: 3, points: 5, outline: square(60, 0, 20) },
    ]);
  /** Rows 0, 1, 2, … are the nearest, in this order. */
  const search = (_query: Float32Array, k: number, among?: Uint32Array | Uint8Array) => {
    const all = among ? rowsOf(among) : Array.from({ length: 30 }, (_, i) => i);
    const found = all.slice(0, k);
    return Promise.resolve({
      rows: Int32Array.from(found),
      distances: Float32Array.from(found, (row) => 1 - row / 32),
    });
  };
  const ids = ({ hits }: Awaited<ReturnType<SearchService['byImage']>>) =>
    hits.map(({ album }) => album.id);

  test('stay recognised but do not come first where words change the order', async () => {
    const { service } = makeService({ sightings, search, embed: () => [1, 0] });
    const answer = await service.byImage(Buffer.from('a'), {
      ...{ k: 2, filter: {}, refinement: { query: 'blue', weight: 0.5 } },
    });
    assert.equal(answer.identified?.[0]?.album.id, 105);
    assert.deepEqual(ids(answer), [100, 101]);
  });

  test('are named largest first, with alternatives, and come before the nearest', async () => {
    const { picture } = makeService({ sightings, search });
    const answer = await picture('a', { k: 4 });
    assert.deepEqual(
      answer.identified?.map(({ album, points, alternatives }) => ({
        ...{ id: album.id, points, alternatives: alternatives.map(({ id }) => id) },
      })),
      [
        { id: 105, points: 50, alternatives: [106] },
        { id: 107, points: 20, alternatives: [] },
      ],
    );
    assert.deepEqual(
      answer.identified[0]?.outline,
      square(0, 0, 1).map(([x, y]) => [x / 2, y / 4]),
    );
    assert.deepEqual(ids(answer), [105, 107, 100, 101]);
    assert.equal(answer.hits[0]?.similarity, 1 - 5 / 32);
  });

  test('pages have no gaps, and no album comes twice', async () => {
    const { picture } = makeService({ sightings, search });
    const all = ids(await picture('a', { k: 12 }));
    assert.equal(new Set(all).size, 12);
    const pages: number[] = [];
    for (let offset = 0; offset < 12; offset += 3)
      pages.push(...ids(await picture('a', { k: 3, offset })));
    assert.deepEqual(pages, all);
  });

  test('are named whatever the filters, but are hits only if they pass', async () => {
    const { picture } = makeService({ sightings, search, passing: [1, 3, 7, 9] });
    const answer = await picture('a', { k: 9 });
    assert.deepEqual(
      answer.identified?.map(({ album }) => album.id),
      [105, 107],
    );
    assert.deepEqual(ids(answer), [107, 101, 103, 109]);
  });

  test('are looked for once per picture, and again after the files are replaced', async () => {
    const { encoded, picture, replace, closed } = makeService({ sightings, search });
    const first = await picture('a');
    assert.ok(first.identifyMs !== undefined);
    const again = await picture('a');
    assert.deepEqual(again.identified, first.identified);
    assert.equal(again.cached, true);
    assert.equal(again.identifyMs, undefined);
    replace();
    assert.equal(closed(), 1);
    assert.equal((await picture('a')).cached, false);
    assert.deepEqual(encoded, ['photo a', 'photo a']);
  });

  test('are not looked for if that is not wanted or there are no features', async () => {
    const { encoded, picture } = makeService({ sightings, search });
    assert.equal((await picture('a', { identify: false })).identified, null);
    assert.deepEqual(ids(await picture('a', { identify: false })), [100]);
    assert.deepEqual(encoded, ['a']);
    assert.deepEqual(ids(await picture('a')), [105], 'though it was encoded before');
    assert.equal((await picture('a', { identify: false })).identified, null);
    assert.deepEqual(encoded, ['a', 'photo a']);
    const without = makeService({ search });
    assert.equal((await without.picture('a')).identified, null);
  });

  test('are an empty list if none are found', async () => {
    const { picture } = makeService({ search, sightings: () => Promise.resolve([]) });
    assert.deepEqual((await picture('a')).identified, []);
  });

  test('a search keeps its place in the queue until they are known', async () => {
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const { picture } = makeService({
      ...{ waiting: 1, search },
      sightings: () => held.then(() => []),
    });
    const first = picture('a');
    await nextTurn();
    await assert.rejects(picture('b'), { code: 'busy' });
    go();
    await first;
    await picture('b');
  });
});

describe('what was found is kept with the query', () => {
  /** A service that counts its searches of three rows, and what each was for. */
  const counted = () => {
    const asked: (number | undefined)[] = [];
    const made = makeService({
      search: (_query, k, rows) => {
        asked.push(rows?.length ?? k);
        const found = Int32Array.from([0, 1, 2].slice(0, k));
        return Promise.resolve({ rows: found, distances: new Float32Array(found.length) });
      },
    });
    return { ...made, asked };
  };

  test('the same query again, or fewer results, search nothing', async () => {
    const { picture, asked } = counted();
    const first = await picture('a', { k: 2 });
    assert.deepEqual((await picture('a', { k: 2 })).hits, first.hits);
    assert.deepEqual((await picture('a', { k: 1 })).hits, first.hits.slice(0, 1));
    assert.deepEqual(asked, [2]);
  });

  test('more results, another query and other files search again', async () => {
    const { picture, asked, replace } = counted();
    await picture('a', { k: 1 });
    await picture('a', { k: 2, offset: 1 });
    await picture('b', { k: 1 });
    replace();
    await picture('b', { k: 1 });
    assert.deepEqual(asked, [1, 3, 1, 1]);
  });

  test('a filter searches again, and is not kept', async () => {
    const { service, picture, asked } = counted();
    await picture('a');
    const filter = { genres: ['Rock'] };
    const filtered = makeService({
      passing: [1],
      search: (_query, k, among) => {
        asked.push(among ? rowsOf(among).length : k);
        return Promise.resolve(nothing);
      },
    });
    await filtered.service.byText('a', { k: 5, filter });
    await filtered.service.byText('a', { k: 5, filter });
    await service.byText('c', { k: 1, filter: {} });
    assert.deepEqual(asked, [1, 1, 1, 1]);
  });
});

describe('words change a search by picture or album', () => {
  const vectors: Record<string, number[]> = { blue: [0, 1], red: [0.6, 0.8], album: [1, 0] };
  const refined = async (refinement: Refinement) => {
    const asked: number[][] = [];
    const { service } = makeService({
      embed: (query) => vectors[query] ?? [1, 0],
      search: (query) => {
        asked.push([...query]);
        return Promise.resolve(nothing);
      },
    });
    const options = { k: 1, filter: {}, refinement };
    await service.byAlbum(5, options);
    await service.byImage(Buffer.from('photo'), options);
    const [byAlbum = [], byImage = []] = asked;
    assert.deepEqual(byImage, byAlbum);
    return byAlbum.map((value) => Math.round(1000 * value) / 1000);
  };

  test('the embeddings are added by weight, and the sum has length 1', async () => {
    assert.deepEqual(await refined({ query: 'blue', weight: 0.5 }), [0.707, 0.707]);
    assert.deepEqual(await refined({ query: 'blue', weight: 0 }), [1, 0]);
    assert.deepEqual(await refined({ query: 'blue', weight: 1 }), [0, 1]);
    assert.deepEqual(await refined({ not: 'blue', weight: 0.5 }), [0.707, -0.707]);
    assert.deepEqual(await refined({ query: 'blue', not: 'red', weight: 1 }), [-0.949, 0.316]);
  });

  test('words that cancel each other out are refused', async () => {
    await assert.rejects(refined({ query: 'blue', not: 'blue', weight: 1 }), {
      code: 'invalid_parameter',
      detail: 'query and not cancel each other out.',
    });
  });
});

test('names and covers are fused by reciprocal rank, and every album has its similarity', async () => {
  const { service } = makeService({
    named: [3, 1],
    search: (_query, _k, among) => {
      const found = among ? rowsOf(among) : [1, 2];
      return Promise.resolve({
        rows: Int32Array.from(found),
        distances: Float32Array.from(found, (row) => row / 8),
      });
    },
  });
  const { hits } = await service.byText('a', { k: 5, filter: {}, by: 'both' });
  assert.deepEqual(
    hits.map(({ album, similarity, matched }) => [album.id, similarity, matched]),
    [
      [101, 0.125, ['name', 'cover']],
      [103, 0.375, ['name']],
      [102, 0.25, ['cover']],
    ],
  );
});
