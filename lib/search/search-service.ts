import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type { Album } from '../catalog/album.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import type { Corpus } from '../corpus.ts';
import { usableCores } from '../cores.ts';
import { AppError } from '../errors.ts';
import type { VectorIndex } from '../vectors/vector-index.ts';
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

/** What a search found, and what it took. */
export interface SearchAnswer {
  hits: Hit[];
  /** What the asker should know of the filters, one sentence each. */
  notes: string[];
  /** Whether the embedding was there from an earlier search. */
  cached: boolean;
  /** Milliseconds to have the embedding, waiting for a turn included. */
  encodeMs: number;
  /** Milliseconds for the nearest vectors and their albums. */
  nearestMs: number;
}

interface Encoder<Query> {
  /** @returns `Float32Array` of the index's dimension, L2-normalised */
  encode(query: Query, signal?: AbortSignal): Promise<Float32Array>;
}

/** What a search needs; each is made when it is first asked for. */
export interface SearchParts {
  imageEncoder: () => Promise<Encoder<Buffer>>;
  textEncoder: () => Promise<Encoder<string>>;
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
  /** Searches of the index at a time: those that are under way share the cores. */
  readonly #indexTurns = pLimit(usableCores());
  readonly #pictures: Gate;
  readonly #texts: Gate;
  /** Embeddings of the last queries: paging and filters ask for the same one again and again. */
  readonly #kept: LRUCache<string, Float32Array> | undefined;

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
   * @returns the `k` albums with the most similar covers among those that pass the filter, best first; all
   *   of them if there are fewer
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image`, `image_too_large` or `busy`
   */
  byImage(picture: Buffer, options: SearchOptions): Promise<SearchAnswer> {
    const key = `picture ${createHash('sha256').update(picture).digest('base64')}`;
    return this.#byQuery(key, options, this.#pictures, async () =>
      (await this.#parts.imageEncoder()).encode(picture, options.signal),
    );
  }

  /** The same for a description in words. */
  byText(query: string, options: SearchOptions): Promise<SearchAnswer> {
    const key = `text ${query.normalize('NFC').trim().replaceAll(/\s+/g, ' ')}`; // as CLIP's tokenizer does
    return this.#byQuery(key, options, this.#texts, async () =>
      (await this.#parts.textEncoder()).encode(query, options.signal),
    );
  }

  /** @param key names what is encoded */
  async #byQuery(
    key: string,
    options: SearchOptions,
    gate: Gate,
    encode: () => Promise<Float32Array>,
  ): Promise<SearchAnswer> {
    const start = performance.now();
    const kept = this.#kept?.get(key);
    const embedding = kept ?? (await gate.admit(encode));
    this.#kept?.set(key, embedding);
    return this.#nearest(() => embedding, options, start, { cached: kept !== undefined });
  }

  /**
   * The albums whose covers are most similar to an album's, itself left out.
   *
   * @throws AppError `album_not_found`
   */
  async byAlbum(albumId: number, options: SearchOptions): Promise<SearchAnswer> {
    const rowIn = (catalog: Catalog): number => {
      const row = catalog.rowOf(albumId);
      if (row !== undefined) return row;
      throw new AppError('album_not_found', `No album has the id ${String(albumId)}.`);
    };
    return this.#nearest(
      (index, catalog) => index.vectorOf(rowIn(catalog)),
      options,
      performance.now(),
      { except: rowIn },
    );
  }

  /**
   * @param query gives the embedding that is searched by
   * @param start when the search began, by `performance.now()`
   * @param how.except gives a row that is left out
   */
  #nearest(
    query: (index: VectorIndex, catalog: Catalog) => Float32Array,
    { k, offset = 0, filter, signal }: SearchOptions,
    start: number,
    { except, cached = false }: { except?: (catalog: Catalog) => number; cached?: boolean },
  ): Promise<SearchAnswer> {
    const encoded = performance.now();
    return this.#parts.corpus().use(async (index, catalog) => {
      const found = await this.#indexTurns(() => {
        signal?.throwIfAborted();
        const rows = catalog.rowsMatching(filter, except?.(catalog));
        return index.search(query(index, catalog), offset + k, rows);
      });
      const hits = Array.from(found.rows, (row, i) => ({
        album: catalog.atRow(row),
        similarity: index.similarity(found.distances[i] ?? NaN),
      })).slice(offset);
      return {
        hits,
        notes: catalog.notesOn(filter),
        cached,
        encodeMs: encoded - start,
        nearestMs: performance.now() - encoded,
      };
    });
  }
}
