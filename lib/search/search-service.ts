import pLimit from 'p-limit';
import type { Album } from '../catalog/album.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import type { Corpus } from '../corpus.ts';
import { AppError } from '../errors.ts';

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
  /** Milliseconds from being admitted to having the embedding (waiting for a turn included). */
  encodeMs: number;
  /** Milliseconds for the nearest vectors and their albums. */
  nearestMs: number;
}

interface Encoder<Query> {
  /** @returns `Float32Array` of the index's dimension, L2-normalised. */
  encode(query: Query): Promise<Float32Array>;
}

/** What a search needs; each is made when it is first asked for. */
export interface SearchParts {
  imageEncoder: () => Promise<Encoder<Buffer>>;
  textEncoder: () => Promise<Encoder<string>>;
  /** The albums and vectors that are current. */
  corpus: () => Corpus;
}

/**
 * Pictures decoded and encoded at a time. Two: one is decoded on another thread while the other is in the
 * model; each may hold a picture of many megapixels.
 */
const picturesAtATime = 2;

/** The main job: encode the query, find the nearest covers, name their albums. */
export class SearchService {
  readonly #parts: SearchParts;
  readonly #pictures = pLimit(picturesAtATime);

  constructor(parts: SearchParts) {
    this.#parts = parts;
  }

  /**
   * @param picture an encoded picture (JPEG, PNG, WebP, AVIF or GIF)
   * @returns the `k` albums with the most similar covers among those that pass the filter, best first; all
   *   of them if there are fewer
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `image_too_large`
   */
  async byImage(picture: Buffer, options: SearchOptions): Promise<SearchAnswer> {
    const start = performance.now();
    const encoder = await this.#parts.imageEncoder();
    const embedding = await this.#pictures(() => {
      options.signal?.throwIfAborted();
      return encoder.encode(picture);
    });
    return this.#nearest(this.#parts.corpus(), embedding, options, start);
  }

  /** The same for a description in words. */
  async byText(query: string, options: SearchOptions): Promise<SearchAnswer> {
    const start = performance.now();
    const encoder = await this.#parts.textEncoder();
    return this.#nearest(this.#parts.corpus(), await encoder.encode(query), options, start);
  }

  /**
   * The albums whose covers are most similar to an album's, itself left out.
   *
   * @throws AppError `album_not_found`
   */
  async byAlbum(albumId: number, options: SearchOptions): Promise<SearchAnswer> {
    const start = performance.now();
    const corpus = this.#parts.corpus();
    const [index, catalog] = await Promise.all([corpus.index(), corpus.catalog()]);
    const row = catalog.rowOf(albumId);
    if (row === undefined)
      throw new AppError('album_not_found', `No album has the id ${String(albumId)}.`);
    return this.#nearest(corpus, index.vectorOf(row), options, start, row);
  }

  async #nearest(
    corpus: Corpus,
    embedding: Float32Array,
    { k, offset = 0, filter }: SearchOptions,
    start: number,
    except?: number,
  ): Promise<SearchAnswer> {
    const encoded = performance.now();
    const [index, catalog] = await Promise.all([corpus.index(), corpus.catalog()]);
    const found = index.search(embedding, offset + k, catalog.rowsMatching(filter, except));
    const hits = Array.from(found.rows, (row, i) => ({
      album: catalog.atRow(row),
      similarity: index.similarity(found.distances[i] ?? NaN),
    })).slice(offset);
    return { hits, encodeMs: encoded - start, nearestMs: performance.now() - encoded };
  }
}
