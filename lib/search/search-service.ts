import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type { Album } from '../catalog/album.ts';
import { albumMatcher, type AlbumFilter } from '../catalog/filter.ts';
import type { Corpus } from './corpus.ts';
import type { EncodedPhoto, Photo } from '../clip/encoder-worker.ts';
import { usableCores } from '../concurrency/cores.ts';
import { maxDepth } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { FeatureIndex } from '../identify/feature-index.ts';
import { photoAmount } from '../identify/features.ts';
import { identify, type Finding } from '../identify/identify.ts';
import type { Neighbours } from '../vectors/vector-index.ts';
import { Gate } from './gate.ts';

export interface SearchOptions {
  /** Maximum number of albums: an integer of 1 or more. */
  k: number;
  /** Number of best albums to skip, for paging. Default: 0. */
  offset?: number;
  filter: AlbumFilter;
  /** Aborted when the client no longer waits for the response: work that has not started is then skipped. */
  signal?: AbortSignal;
}

type NameOptions = SearchOptions & { everyWord?: boolean };

/** What a text is compared with: the covers, by their embeddings, or artists, titles and so on. */
export const searchBy = ['cover', 'name', 'both'] as const;
export type SearchBy = (typeof searchBy)[number];

/** Words that change a search by picture or album. */
export interface Refinement {
  /** What the covers should show besides being similar. */
  query?: string;
  /** What they should not show. */
  not?: string;
  /** How much the words count: 0 to 1. */
  weight: number;
}

/** One album of a search result. */
export interface Hit {
  album: Album;
  /** Cosine of the query's embedding and the cover's: -1 to 1, 1 is the same picture. `null` if searched by name. */
  similarity: number | null;
  /** What matched the text, in a search that compares names. */
  matched?: ('name' | 'cover')[];
}

/** An album recognised in a picture. */
export interface Identified extends Pick<Finding, 'points' | 'outline'> {
  album: Album;
  /** Other albums whose covers fit nearly as well: other editions, singles with the same artwork. */
  alternatives: Album[];
}

/** The result of a search, with timings. */
export interface SearchAnswer {
  hits: Hit[];
  /** Albums recognised in a picture, largest first; `null` if recognition was not attempted. */
  identified: Identified[] | null;
  /** Hints about the filters, one sentence each. */
  notes: string[];
  /** Whether the embedding came from the cache. */
  cached: boolean;
  /** Milliseconds to get the embedding, including time in the queue. */
  encodeMs: number;
  /** Milliseconds to recognise albums; absent if not attempted, or if the result came from the cache. */
  identifyMs?: number;
  /** Milliseconds to find the nearest vectors and their albums. */
  nearestMs: number;
}

interface Encoder<Query, Encoded> {
  encode(query: Query, signal?: AbortSignal): Promise<Encoded>;
}

/** Returns a `Float32Array` of the index's dimension, L2-normalised; for a photo also its features. */
type ImageEncoder = Encoder<Buffer, Float32Array> & Encoder<Photo, EncodedPhoto>;

/** Cache entry of a query. */
interface Kept {
  embedding: Float32Array;
  /** Albums recognised in the picture, for one version of the corpus. */
  recognised?: { version: symbol; findings: readonly Finding[] };
  /** The last search without a filter, for one version of the corpus: all covers, or as many as were asked for. */
  nearest?: { version: symbol; count: number; found: Neighbours };
}

/** Dependencies of the search service; the encoders are created on first use. */
export interface SearchParts {
  imageEncoder: () => Promise<ImageEncoder>;
  textEncoder: () => Promise<Encoder<string, Float32Array>>;
  /** The current albums and vectors. */
  corpus: () => Corpus;
  /** Maximum number of pictures, and of texts, that are being encoded or queued; further ones are refused. */
  waiting: number;
  /** Number of queries whose embeddings are cached. */
  kept: number;
}

/** The core of the app: encodes the query, finds the nearest covers, and looks up their albums. */
export class SearchService {
  readonly #parts: SearchParts;
  /** Limits concurrent searches that cannot be batched, over given rows and over features: each takes a core. */
  readonly #indexTurns = pLimit(usableCores());
  readonly #pictures: Gate;
  readonly #texts: Gate;
  /** Embeddings of the last queries: paging and filters repeat the same query. */
  readonly #kept: LRUCache<string, Kept> | undefined;

  constructor(parts: SearchParts) {
    this.#parts = parts;
    this.#pictures = new Gate(parts.waiting, 'pictures');
    this.#texts = new Gate(parts.waiting, 'searches');
    this.#kept = parts.kept > 0 ? new LRUCache({ max: parts.kept }) : undefined;
  }

  /** @throws AppError `busy` if a picture would be refused now */
  assertRoomForPicture(): void {
    this.#pictures.assertRoom();
  }

  /**
   * @param picture an encoded picture, in one of `acceptedFormats`
   * @param options.identify whether to recognise albums in it, if the files for that are present
   * @param options.refinement words that change what is searched for
   * @returns the `k` albums with the most similar covers among those that match the filter, best first; all of them if
   *   there are fewer. Recognised albums come before the others, unless words change the order.
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image`, `image_too_large` or `busy`
   */
  byImage(
    picture: Buffer,
    options: SearchOptions & { identify?: boolean; refinement?: Refinement },
  ): Promise<SearchAnswer> {
    const key = `picture ${createHash('sha256').update(picture).digest('base64')}`;
    const { signal } = options;
    const corpus = this.#parts.corpus();
    return corpus.use(async () => {
      const start = performance.now();
      this.#parts.imageEncoder().catch(() => undefined); // loads in parallel with the features; errors are thrown below
      const features = options.identify === false ? null : await corpus.features();
      const kept = this.#kept?.get(key);
      if (kept && (!features || kept.recognised?.version === corpus.version))
        return this.#nearest(corpus, kept, options, { start, cached: true });
      return this.#pictures.admit(async () => {
        const encoder = await this.#parts.imageEncoder();
        if (!features) {
          const query: Kept = { ...kept, embedding: await encoder.encode(picture, signal) };
          this.#kept?.set(key, query);
          return this.#nearest(corpus, query, options, { start });
        }
        const photo = await encoder.encode({ picture, amount: photoAmount }, signal);
        const encoded = performance.now();
        const findings = await this.#recognise(corpus, features, photo, signal);
        const recognised = { version: corpus.version, findings };
        const query: Kept = { embedding: photo.embedding, recognised };
        this.#kept?.set(key, query);
        const identifyMs = performance.now() - encoded;
        return this.#nearest(corpus, query, options, { start, identifyMs });
      });
    });
  }

  /**
   * Like {@link byImage}, for a description in words.
   *
   * @param options.by `both` fuses the albums with the best covers and those with the best names. Default: `cover`
   */
  byText(words: string, options: SearchOptions & { by?: SearchBy }): Promise<SearchAnswer> {
    const { by = 'cover', signal } = options;
    const corpus = this.#parts.corpus();
    return corpus.use(async () => {
      const start = performance.now();
      if (by === 'name') {
        const answer = await this.#named(corpus, words, options);
        return { ...answer, hits: answer.hits.map((hit) => ({ ...hit, matched: ['name'] })) };
      }
      const { query, cached } = await this.#encodeText(words, signal);
      const how = { start, cached };
      return by === 'cover'
        ? this.#nearest(corpus, query, options, how)
        : this.#fused(corpus, words, query, options, how);
    });
  }

  /**
   * The albums whose artist, title, label, year and genre match a text, best first.
   *
   * @param options.everyWord whether every word must occur; by default, two of three are enough if no album has all
   */
  byName(words: string, options: NameOptions): Promise<SearchAnswer> {
    const corpus = this.#parts.corpus();
    return corpus.use(() => this.#named(corpus, words, options));
  }

  async #named(
    corpus: Corpus,
    words: string,
    { k, offset = 0, filter, everyWord = false }: NameOptions,
  ): Promise<SearchAnswer> {
    const [catalog, names] = await Promise.all([corpus.catalog(), corpus.names()]);
    const start = performance.now();
    const matches = albumMatcher(filter);
    const rows = names.search(words, { limit: offset + k, matches, everyWord });
    return {
      hits: rows.slice(offset).map((row) => ({ album: catalog.atRow(row), similarity: null })),
      identified: null,
      notes: catalog.notesOn(filter),
      cached: false,
      encodeMs: 0,
      nearestMs: performance.now() - start,
    };
  }

  /**
   * The albums whose covers are most similar to the given album's, excluding itself.
   *
   * @param options.refinement words that change what is searched for
   * @throws AppError `album_not_found`
   */
  byAlbum(
    albumId: number,
    options: SearchOptions & { refinement?: Refinement },
  ): Promise<SearchAnswer> {
    const corpus = this.#parts.corpus();
    return corpus.use(async () => {
      const start = performance.now();
      const [index, catalog] = await Promise.all([corpus.index(), corpus.catalog()]);
      const row = catalog.rowOf(albumId);
      if (row === undefined)
        throw new AppError('album_not_found', `No album has the id ${String(albumId)}.`);
      const query = { embedding: index.vectorOf(row) };
      return this.#nearest(corpus, query, options, { start, except: row });
    });
  }

  /** A text's embedding, from the cache if it is there. */
  async #encodeText(
    words: string,
    signal: AbortSignal | undefined,
  ): Promise<{ query: Kept; cached: boolean }> {
    const key = `text ${words.normalize('NFC').trim().replaceAll(/\s+/g, ' ')}`; // as CLIP's tokenizer does
    const kept = this.#kept?.get(key);
    if (kept) return { query: kept, cached: true };
    const query: Kept = {
      embedding: await this.#texts.admit(async () =>
        (await this.#parts.textEncoder()).encode(words, signal),
      ),
    };
    this.#kept?.set(key, query);
    return { query, cached: false };
  }

  /**
   * The weighted sum of unit vectors, L2-normalised: (1 − weight) · embedding + weight · (query − not).
   *
   * @throws AppError `invalid_parameter` if they cancel each other out
   */
  async #refine(
    embedding: Float32Array,
    { query, not, weight }: Refinement,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const [wanted, unwanted] = await Promise.all(
      [query, not].map(async (words) =>
        words === undefined ? undefined : (await this.#encodeText(words, signal)).query.embedding,
      ),
    );
    const sum = embedding.map(
      (value, i) => (1 - weight) * value + weight * ((wanted?.[i] ?? 0) - (unwanted?.[i] ?? 0)),
    );
    const norm = Math.hypot(...sum);
    if (norm < leastNorm)
      throw new AppError('invalid_parameter', 'query and not cancel each other out.', {
        parameters: ['not'],
      });
    return sum.map((value) => value / norm);
  }

  /**
   * Albums ranked by reciprocal rank fusion of two lists, by cover and by name (Cormack, Clarke and Büttcher, SIGIR
   * 2009): each contributes 1 / (60 + rank).
   */
  async #fused(
    corpus: Corpus,
    words: string,
    query: Kept,
    { k, offset = 0, filter, signal }: SearchOptions,
    how: { start: number; cached: boolean },
  ): Promise<SearchAnswer> {
    // Always to the same depth: an album's rank must not depend on the page.
    const depth = { k: maxDepth, filter, ...(signal && { signal }) };
    const covers = await this.#nearest(corpus, query, depth, how);
    const named = await this.#named(corpus, words, { ...depth, everyWord: true });
    const fused = new Map<number, { hit: Hit; score: number }>();
    for (const [name, { hits }] of [
      ['name', named],
      ['cover', covers],
    ] as const)
      for (const [rank, { album, similarity }] of hits.entries()) {
        const one = fused.get(album.id) ?? { hit: { album, similarity, matched: [] }, score: 0 };
        one.score += 1 / (fusionConstant + rank + 1);
        one.hit.matched?.push(name);
        one.hit.similarity ??= similarity;
        fused.set(album.id, one);
      }
    const hits = [...fused.values()]
      .sort((a, b) => b.score - a.score)
      .slice(offset, offset + k)
      .map(({ hit }) => hit);
    await this.#addSimilarities(corpus, query, hits, signal);
    return { ...covers, hits, nearestMs: performance.now() - how.start - covers.encodeMs };
  }

  /** The similarity of albums that were found by their names alone. */
  async #addSimilarities(
    corpus: Corpus,
    query: Kept,
    hits: readonly Hit[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const catalog = await corpus.catalog();
    const missing = new Map(
      hits
        .filter(({ similarity }) => similarity === null)
        .map((hit) => [catalog.rowOf(hit.album.id), hit]),
    );
    if (missing.size === 0) return;
    const rows = Uint32Array.from([...missing.keys()].filter((row) => row !== undefined));
    const found = await this.#search(corpus, query, { count: rows.length, rows, signal });
    for (const { row, similarity } of found) {
      const hit = missing.get(row);
      if (hit) hit.similarity = similarity;
    }
  }

  /** The nearest covers to a query, of all or of given rows. What is found among all is kept with the query. */
  async #search(
    corpus: Corpus,
    query: Kept,
    how: { count: number; rows: Uint32Array | undefined; signal: AbortSignal | undefined },
  ): Promise<{ row: number; similarity: number }[]> {
    const { count, rows, signal } = how;
    const { embedding, nearest } = query;
    const { version } = corpus;
    const index = await corpus.index();
    let found: Neighbours;
    if (rows) found = await this.#inTurn(signal, () => index.search(embedding, count, rows));
    else if (nearest?.version === version && nearest.count >= count) ({ found } = nearest);
    else {
      found = await index.search(embedding, count, undefined, signal);
      query.nearest = { version, count, found };
    }
    return Array.from(found.rows.subarray(0, count), (row, i) => ({
      row,
      similarity: index.similarity(found.distances[i] ?? NaN),
    }));
  }

  /** Limits concurrent searches over given rows and over features: each takes a core. */
  #inTurn<T>(signal: AbortSignal | undefined, search: () => Promise<T>): Promise<T> {
    return this.#indexTurns(() => {
      signal?.throwIfAborted();
      return search();
    });
  }

  async #recognise(
    corpus: Corpus,
    features: FeatureIndex,
    { embedding, features: photo }: EncodedPhoto,
    signal: AbortSignal | undefined,
  ): Promise<Finding[]> {
    const index = await corpus.index();
    const { rows } = await index.search(embedding, alsoLookedAt, undefined, signal);
    return this.#inTurn(signal, () => identify(features, photo, [...rows]));
  }

  /**
   * @param how.start `performance.now()` when the search began
   * @param how.except a row to exclude
   */
  async #nearest(
    corpus: Corpus,
    original: Kept,
    options: SearchOptions & { identify?: boolean; refinement?: Refinement },
    how: { start: number; except?: number; cached?: boolean; identifyMs?: number },
  ): Promise<SearchAnswer> {
    const { k, offset = 0, filter, signal, identify: identifying, refinement } = options;
    const { start, except, cached = false, identifyMs } = how;
    const findings = identifying === false ? undefined : original.recognised?.findings;
    const query: Kept = refinement
      ? { embedding: await this.#refine(original.embedding, refinement, signal) }
      : original;
    const encoded = performance.now();
    const [catalog] = await Promise.all([corpus.catalog(), corpus.index()]);
    const allowed = catalog.rowsMatching(filter, except);
    const first = [...new Set((refinement ? [] : (findings ?? [])).map(({ row }) => row))].filter(
      (row) => allowed?.includes(row) ?? true,
    );
    const search = (count: number, rows?: Uint32Array) =>
      this.#search(corpus, query, { count, rows, signal });
    const nearest = await search(offset + k + first.length, allowed);
    const ofFirst = first.length > 0 ? await search(first.length, Uint32Array.from(first)) : [];
    const ranked = [
      ...first.flatMap((row) => ofFirst.filter((one) => one.row === row)),
      ...nearest.filter(({ row }) => !first.includes(row)),
    ];
    return {
      hits: ranked
        .slice(offset, offset + k)
        .map(({ row, similarity }) => ({ album: catalog.atRow(row), similarity })),
      identified:
        findings?.map(({ row, alternatives, ...finding }) => ({
          album: catalog.atRow(row),
          ...finding,
          alternatives: alternatives.map((other) => catalog.atRow(other)),
        })) ?? null,
      notes: catalog.notesOn(filter),
      cached,
      encodeMs: encoded - start - (identifyMs ?? 0),
      ...(identifyMs !== undefined && { identifyMs }),
      nearestMs: performance.now() - encoded,
    };
  }
}

/** Of reciprocal rank fusion, as in its paper. */
const fusionConstant = 60;

/** Length of a sum of unit vectors below which its direction is only rounding. */
const leastNorm = 1e-6;

/** Number of nearest covers by embedding that are checked in addition to those that the features vote for. */
const alsoLookedAt = 20;
