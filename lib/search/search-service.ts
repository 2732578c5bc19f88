import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type { Album } from '../catalog/album.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import type { Corpus } from './corpus.ts';
import type { EncodedPhoto, Photo } from '../clip/encoder-worker.ts';
import { usableCores } from '../concurrency/cores.ts';
import { AppError } from '../errors.ts';
import type { FeatureIndex } from '../identify/feature-index.ts';
import { photoAmount } from '../identify/features.ts';
import { identify, type Finding } from '../identify/identify.ts';
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

/** One album of a search result. */
export interface Hit {
  album: Album;
  /** Cosine of the query's embedding and the cover's: -1 to 1, 1 is the same picture. */
  similarity: number;
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
   * @returns the `k` albums with the most similar covers among those that match the filter, best first; all of them if
   *   there are fewer. Recognised albums come before the others.
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image`, `image_too_large` or `busy`
   */
  byImage(picture: Buffer, options: SearchOptions & { identify?: boolean }): Promise<SearchAnswer> {
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
          const query = { ...kept, embedding: await encoder.encode(picture, signal) };
          this.#kept?.set(key, query);
          return this.#nearest(corpus, query, options, { start });
        }
        const photo = await encoder.encode({ picture, amount: photoAmount }, signal);
        const encoded = performance.now();
        const findings = await this.#recognise(corpus, features, photo, signal);
        const recognised = { version: corpus.version, findings };
        const query = { embedding: photo.embedding, recognised };
        this.#kept?.set(key, query);
        const identifyMs = performance.now() - encoded;
        return this.#nearest(corpus, query, options, { start, identifyMs });
      });
    });
  }

  /** Like {@link byImage}, for a description in words. */
  byText(words: string, options: SearchOptions): Promise<SearchAnswer> {
    const key = `text ${words.normalize('NFC').trim().replaceAll(/\s+/g, ' ')}`; // as CLIP's tokenizer does
    const corpus = this.#parts.corpus();
    return corpus.use(async () => {
      const start = performance.now();
      const kept = this.#kept?.get(key);
      if (kept) return this.#nearest(corpus, kept, options, { start, cached: true });
      const embedding = await this.#texts.admit(async () =>
        (await this.#parts.textEncoder()).encode(words, options.signal),
      );
      this.#kept?.set(key, { embedding });
      return this.#nearest(corpus, { embedding }, options, { start });
    });
  }

  /**
   * The albums whose covers are most similar to the given album's, excluding itself.
   *
   * @throws AppError `album_not_found`
   */
  byAlbum(albumId: number, options: SearchOptions): Promise<SearchAnswer> {
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
    { embedding, recognised }: Kept,
    { k, offset = 0, filter, signal, ...options }: SearchOptions & { identify?: boolean },
    how: { start: number; except?: number; cached?: boolean; identifyMs?: number },
  ): Promise<SearchAnswer> {
    const { start, except, cached = false, identifyMs } = how;
    const encoded = performance.now();
    const [index, catalog] = await Promise.all([corpus.index(), corpus.catalog()]);
    const findings = options.identify === false ? undefined : recognised?.findings;
    const allowed = catalog.rowsMatching(filter, except);
    const first = [...new Set((findings ?? []).map(({ row }) => row))].filter(
      (row) => allowed?.includes(row) ?? true,
    );
    const search = async (count: number, rows?: Uint32Array) => {
      const found = await (rows
        ? this.#inTurn(signal, () => index.search(embedding, count, rows))
        : index.search(embedding, count, undefined, signal));
      return Array.from(found.rows, (row, i) => ({
        row,
        similarity: index.similarity(found.distances[i] ?? NaN),
      }));
    };
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

/** Number of nearest covers by embedding that are checked in addition to those that the features vote for. */
const alsoLookedAt = 20;
