import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Catalog } from '../lib/catalog/catalog.ts';
import { Corpus } from '../lib/corpus.ts';
import { usableCores } from '../lib/cores.ts';
import { AppError } from '../lib/errors.ts';
import { lazy } from '../lib/lazy.ts';
import { SearchService } from '../lib/search/search-service.ts';
import type { VectorIndex } from '../lib/vectors/vector-index.ts';

const nothing = { rows: new Int32Array(0), distances: new Float32Array(0) };

/** A service whose encoders count what they encode, and wait until `go` is called where `held` is. */
function makeService({
  waiting = 2,
  kept = 2,
  held = false,
  search = () => Promise.resolve(nothing),
  dispose = () => undefined,
} = {}) {
  const encoded: string[] = [];
  let go: () => void = () => undefined;
  const gone = held ? new Promise<void>((resolve) => (go = resolve)) : Promise.resolve();
  const encode = async (query: Buffer | string) => {
    encoded.push(String(query));
    await gone;
    if (String(query) === 'damaged') throw new AppError('unreadable_image', 'It is damaged.');
    return new Float32Array(2);
  };
  const index = {
    ...{ search, dispose },
    vectorOf: () => new Float32Array(2),
  } as unknown as VectorIndex;
  const catalog = {
    rowsMatching: () => undefined,
    notesOn: () => [],
    rowOf: () => 0,
  } as unknown as Catalog;
  const corpus = new Corpus({
    catalog: lazy(() => Promise.resolve(catalog)),
    index: lazy(() => Promise.resolve(index)),
  });
  const encoder = () => Promise.resolve({ encode });
  const service = new SearchService({
    ...{ imageEncoder: encoder, textEncoder: encoder, corpus: () => corpus },
    ...{ waiting, kept },
  });
  const options = { k: 1, filter: {} };
  return {
    encoded,
    go: () => {
      go();
    },
    corpus,
    service,
    picture: (text: string) => service.byImage(Buffer.from(text), options),
    text: (words: string) => service.byText(words, options),
    similar: (signal?: AbortSignal) =>
      service.byAlbum(1, { ...options, ...(signal && { signal }) }),
  };
}

describe('queries that are kept', () => {
  test('a picture and a text that come again are not encoded again', async () => {
    const { encoded, picture, text } = makeService();
    assert.equal((await picture('a')).cached, false);
    assert.equal((await picture('a')).cached, true);
    assert.equal((await text('a')).cached, false, 'a text is no picture');
    assert.equal((await text('a')).cached, true);
    assert.deepEqual(encoded, ['a', 'a']);
  });

  test('spaces and Unicode forms make no other text', async () => {
    const { encoded, text } = makeService();
    await text('Bjo\u0308rk  live');
    assert.equal((await text(' Bj\u00f6rk\tlive ')).cached, true);
    assert.equal(encoded.length, 1);
  });

  test('the one that was not asked for longest makes room', async () => {
    const { picture } = makeService({ kept: 2 });
    for (const name of ['a', 'b', 'a', 'c']) await picture(name);
    assert.equal((await picture('a')).cached, true);
    assert.equal((await picture('b')).cached, false);
  });

  test('what could not be encoded is not kept', async () => {
    const { encoded, picture } = makeService();
    for (let i = 0; i < 2; i += 1)
      await assert.rejects(picture('damaged'), { code: 'unreadable_image' });
    assert.equal(encoded.length, 2);
  });

  test('none where none are wanted', async () => {
    const { picture } = makeService({ kept: 0 });
    await picture('a');
    assert.equal((await picture('a')).cached, false);
  });
});

describe('places', () => {
  test('pictures that wait keep no text and no similar album from being answered', async () => {
    const { go, picture, text, similar, service } = makeService({ waiting: 2, held: true });
    const pictures = [picture('a'), picture('b')];
    await assert.rejects(picture('c'), { code: 'busy', message: /^2 pictures are waiting/ });
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

  test('what is kept needs no place', async () => {
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

  test('as many at a time as there are cores, and none for who has left meanwhile', async () => {
    const { running, search, end } = slowly();
    const { similar } = makeService({ search });
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

  test('a corpus that another takes the place of is kept until its searches end', async () => {
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
