import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type { Album } from '../catalog/album.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import type { Corpus } from '../corpus.ts';
import type { EncodedPhoto, Photo } from '../clip/encoder-worker.ts';
import { usableCores } from '../cores.ts';
import { AppError } from '../errors.ts';
import type { FeatureIndex } from '../identify/feature-index.ts';
import { photoAmount } from '../identify/features.ts';
import { identify, type Finding } from '../identify/identify.ts';
import type { Outline } from '../identify/native.ts';
import { Gate } from './gate.ts';

export interface SearchOptions {
  /** How many albums at most: an integer of 1 or more. */
  k: number;
  /** How many of the best are left out, to go on after them. Default: 0. */
  offset?: number;
  filter: AlbumFilter;
  /** Aborted when nobody waits for the answer any more: work that has not begun is then left out. */
  signal?: AbortSignal;
}

/** One album of an answer. */
export interface Hit {
  album: Album;
  /** Cosine of the query's embedding and the cover's: -1 to 1, 1 is the same picture. */
  similarity: number;
}

/** An album that was recognised in a picture. */
export interface Identified {
  album: Album;
  /** Points of the cover that were found where they belong. */
  points: number;
  /** Corners of the cover as fractions of the upright picture's width and height, from its upper left one on, clockwise. */
  outline: Outline;
  /** Other albums whose covers fit the place nearly as well: editions, singles that share the artwork. */
  alternatives: Album[];
}

/** What a search found, and what it took. */
export interface SearchAnswer {
  hits: Hit[];
  /** The albums that a picture shows, largest first; `null` where that was not looked at. */
  identified: Identified[] | null;
  /** What the asker should know of the filters, one sentence each. */
  notes: string[];
  /** Whether the embedding was there from an earlier search. */
  cached: boolean;
  /** Milliseconds to have the embedding, waiting for a turn included. */
  encodeMs: number;
  /** Milliseconds to recognise albums; left out where that was not looked at, or was known from an earlier search. */
  identifyMs?: number;
  /** Milliseconds for the nearest vectors and their albums. */
  nearestMs: number;
}

interface Encoder<Query, Encoded> {
  encode(query: Query, signal?: AbortSignal): Promise<Encoded>;
}

/** Gives a `Float32Array` of the index's dimension, L2-normalised; of a photo its features too. */
type ImageEncoder = Encoder<Buffer, Float32Array> & Encoder<Photo, EncodedPhoto>;

/** What is kept of a query. */
interface Kept {
  embedding: Float32Array;
  /** What was recognised in a picture, among the covers of one version of the corpus. */
  recognised?: { version: symbol; findings: readonly Finding[] };
}

/** What a search needs; each is made when it is first asked for. */
export interface SearchParts {
  imageEncoder: () => Promise<ImageEncoder>;
  textEncoder: () => Promise<Encoder<string, Float32Array>>;
  /** The albums and vectors that are current. */
  corpus: () => Corpus;
  /** Pictures, and texts, that may be encoded or wait for it at a time; the next one is refused. */
  waiting: number;
  /** Queries whose embeddings are kept. */
  kept: number;
}

/** The main job: encode the query, find the nearest covers, name their albums. */
export class SearchService {
  readonly #parts: SearchParts;
  /** Searches at a time that can't be done together: those that are under way share the cores. */
  readonly #indexTurns = pLimit(usableCores());
  readonly #pictures: Gate;
  readonly #texts: Gate;
  /** Embeddings of the last queries: paging and filters ask for the same one again and again. */
  readonly #kept: LRUCache<string, Kept> | undefined;

  constructor(parts: SearchParts) {
    this.#parts = parts;
    this.#pictures = new Gate(parts.waiting, 'pictures');
    this.#texts = new Gate(parts.waiting, 'searches');
    this.#kept = parts.kept > 0 ? new LRUCache({ max: parts.kept }) : undefined;
  }

  /** @throws AppError `busy` where a picture would be refused now */
  assertRoomForPicture(): void {
    this.#pictures.assertRoom();
  }

  /**
   * @param picture an encoded picture, in one of `acceptedFormats`
   * @param options.identify whether albums are recognised in it, where the files for that are there
   * @returns the `k` albums with the most similar covers among those that pass the filter, best first; all
   *   of them if there are fewer. Those that were recognised come before the others.
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image`, `image_too_large` or `busy`
   */
  byImage(picture: Buffer, options: SearchOptions & { identify?: boolean }): Promise<SearchAnswer> {
    const key = `picture ${createHash('sha256').update(picture).digest('base64')}`;
    const { signal } = options;
    const corpus = this.#parts.corpus();
    return corpus.use(async () => {
      const start = performance.now();
      this.#parts.imageEncoder().catch(() => undefined); // loaded beside the features; told below
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
        const query = {
          embedding: photo.embedding,
          recognised: { version: corpus.version, findings },
        };
        this.#kept?.set(key, query);
        const identifyMs = performance.now() - encoded;
        return this.#nearest(corpus, query, options, { start, identifyMs });
      });
    });
  }

  /** The same for a description in words. */
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
   * The albums whose covers are most similar to an album's, itself left out.
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

  /** Searches among some rows, and of the features, take turns: each of them takes a core. */
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
   * @param how.start when the search began, by `performance.now()`
   * @param how.except a row that is left out
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

/** Nearest by embedding that are looked at besides those that the features vote for. */
const alsoLookedAt = 20;
