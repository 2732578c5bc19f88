import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Album } from '../catalog/album.ts';
import { isEmptyFilter, type AlbumFilter } from '../catalog/filter.ts';
import type { Corpus, Identified, NearestOptions, Neighbour } from './corpus.ts';
import type { EncodedPhoto, Photo } from '../clip/encoder-worker.ts';
import { maxDepth } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { photoAmount } from '../identify/features.ts';
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
  recognised?: { version: unknown; albums: Identified[] };
  /** The last search without a filter, for one version of the corpus: all covers, or as many as were asked for. */
  nearest?: { version: unknown; k: number; found: readonly Neighbour[] };
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
      const identifies = options.identify !== false && (await corpus.canIdentify());
      const kept = this.#kept?.get(key);
      if (kept && (!identifies || kept.recognised?.version === corpus.version))
        return this.#nearest(corpus, kept, options, { start, cached: true });
      return this.#pictures.admit(async () => {
        const encoder = await this.#parts.imageEncoder();
        if (!identifies) {
          const query: Kept = { ...kept, embedding: await encoder.encode(picture, signal) };
          this.#kept?.set(key, query);
          return this.#nearest(corpus, query, options, { start });
        }
        const photo = await encoder.encode({ picture, amount: photoAmount }, signal);
        const encoded = performance.now();
        const { version } = corpus;
        const recognised = { version, albums: await corpus.identify(photo, signal) };
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

  async #named(corpus: Corpus, words: string, options: NameOptions): Promise<SearchAnswer> {
    const start = performance.now();
    const albums = await corpus.byName(words, options);
    return {
      hits: albums.map((album) => ({ album, similarity: null })),
      identified: null,
      notes: await corpus.notesOn(options.filter),
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
      const embedding = await corpus.embeddingOf(albumId);
      if (!embedding)
        throw new AppError('album_not_found', `No album has the id ${String(albumId)}.`);
      return this.#nearest(corpus, { embedding }, options, { start, except: albumId });
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
    await addSimilarities(corpus, query.embedding, hits, signal);
    return { ...covers, hits, nearestMs: performance.now() - how.start - covers.encodeMs };
  }

  /** The nearest covers to a query. What is found without a filter is kept with the query. */
  async #search(
    corpus: Corpus,
    query: Kept,
    options: NearestOptions,
  ): Promise<readonly Neighbour[]> {
    const { embedding, nearest } = query;
    const { version } = corpus;
    const { k, filter } = options;
    if (!isEmptyFilter(filter)) return corpus.nearest(embedding, options);
    if (nearest && nearest.version === version && nearest.k >= k) return nearest.found.slice(0, k);
    const found = await corpus.nearest(embedding, options);
    query.nearest = { version, k, found };
    return found;
  }

  /**
   * @param how.start `performance.now()` when the search began
   * @param how.except id of an album to exclude
   */
  async #nearest(
    corpus: Corpus,
    original: Kept,
    options: SearchOptions & { identify?: boolean; refinement?: Refinement },
    how: { start: number; except?: number; cached?: boolean; identifyMs?: number },
  ): Promise<SearchAnswer> {
    const { k, offset = 0, filter, signal, identify: identifying, refinement } = options;
    const { start, except, cached = false, identifyMs } = how;
    const identified = identifying === false ? undefined : original.recognised?.albums;
    const query: Kept = refinement
      ? { embedding: await this.#refine(original.embedding, refinement, signal) }
      : original;
    const encoded = performance.now();
    const first = await similaritiesOf(
      corpus,
      query.embedding,
      refinement ? [] : identified,
      options,
    );
    const nearest = await this.#search(corpus, query, {
      k: offset + k + first.length + (except === undefined ? 0 : 1),
      ...{ filter, signal },
    });
    const above = new Set([except, ...first.map(({ album }) => album.id)]);
    const ranked = [...first, ...nearest.filter(({ album }) => !above.has(album.id))];
    return {
      hits: ranked
        .slice(offset, offset + k)
        .map(({ album, similarity }) => ({ album, similarity })),
      identified: identified ?? null,
      notes: await corpus.notesOn(filter),
      cached,
      encodeMs: encoded - start - (identifyMs ?? 0),
      ...(identifyMs !== undefined && { identifyMs }),
      nearestMs: performance.now() - encoded,
    };
  }
}

/** The recognised albums that pass the filter, with their similarities. */
async function similaritiesOf(
  corpus: Corpus,
  embedding: Float32Array,
  identified: readonly Identified[] = [],
  { filter, signal }: SearchOptions,
): Promise<Neighbour[]> {
  if (identified.length === 0) return [];
  const albums = new Map(identified.map(({ album }) => [album.id, album]));
  const found = await corpus.similarities(embedding, [...albums.keys()], { filter, signal });
  return [...albums].flatMap(([id, album]) => {
    const similarity = found.get(id);
    return similarity === undefined ? [] : [{ album, similarity }];
  });
}

/** Adds the similarities of albums that were found by their names alone. */
async function addSimilarities(
  corpus: Corpus,
  embedding: Float32Array,
  hits: readonly Hit[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const missing = hits.filter(({ similarity }) => similarity === null);
  const ids = missing.map(({ album }) => album.id);
  if (ids.length === 0) return;
  const found = await corpus.similarities(embedding, ids, { filter: {}, signal });
  for (const hit of missing) hit.similarity = found.get(hit.album.id) ?? null;
}

/** Of reciprocal rank fusion, as in its paper. */
const fusionConstant = 60;

/** Length of a sum of unit vectors below which its direction is only rounding. */
const leastNorm = 1e-6;
