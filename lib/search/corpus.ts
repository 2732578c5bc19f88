import type { Album } from '../catalog/album.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import type { CatalogStatistics } from '../catalog/statistics.ts';
import type { EncodedPhoto } from '../clip/encoder-worker.ts';
import type { Finding } from '../identify/identify.ts';

/** An album, and how similar its cover is to a query. */
export interface Neighbour {
  readonly album: Album;
  /** Cosine of the embeddings: -1 to 1, 1 is the same picture. */
  readonly similarity: number;
}

/** An album recognised in a picture. */
export interface Identified extends Pick<Finding, 'points' | 'outline'> {
  album: Album;
  /** Other albums whose covers fit nearly as well: other editions, singles with the same artwork. */
  alternatives: Album[];
}

export interface FilterOptions {
  filter: AlbumFilter;
  /** Aborted when the client no longer waits: work that has not started is then skipped. */
  signal?: AbortSignal | undefined;
}

export interface NearestOptions extends FilterOptions {
  /** Maximum number of albums. */
  k: number;
}

export interface NameSearch extends FilterOptions {
  k: number;
  /** Number of best albums to skip. */
  offset?: number;
  /** Whether every word must occur; by default, two of three are enough if no album has all. */
  everyWord?: boolean;
}

/** What is loaded of a corpus. */
export interface CorpusState {
  embeddings: boolean;
  albums: boolean;
  /** Number of embeddings; `null` before they are loaded. */
  size: number | null;
  /** Whether albums can be recognised in photos; `null` before it is known. */
  identification: boolean | null;
  /** Problems of the list of albums, one sentence each; `null` before it is loaded. */
  issues: readonly string[] | null;
}

/** What is searched: the albums and the embeddings of their covers, as one consistent set, wherever they are stored. */
export interface Corpus {
  /** Another one for other contents: what was found in one version does not hold for another. */
  readonly version: unknown;
  /** Keeps the contents in memory while the work runs. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Loads what searches need. */
  load(): Promise<void>;
  /** Loads what searches by name need besides. */
  loadNames(): Promise<void>;
  /** What is loaded so far. */
  readonly state: CorpusState;
  /** Number of albums. */
  size(): Promise<number>;
  /** Of the embeddings. */
  dimension(): Promise<number>;
  /**
   * The albums with the most similar covers among those that pass the filter, best first.
   *
   * @param embedding `Float32Array` of the corpus's dimension, L2-normalised
   */
  nearest(embedding: Float32Array, options: NearestOptions): Promise<readonly Neighbour[]>;
  /** The similarities of those of the given albums (public ids) that exist and pass the filter. */
  similarities(
    embedding: Float32Array,
    ids: readonly number[],
    options: FilterOptions,
  ): Promise<ReadonlyMap<number, number>>;
  /** The album of a public id, or `undefined`. */
  album(id: number): Promise<Album | undefined>;
  /** The stored embedding of an album's cover, or `undefined` if there is no such album. */
  embeddingOf(id: number): Promise<Float32Array | undefined>;
  /** The albums whose artist, title, label, year and genre match a text, best first. */
  byName(words: string, options: NameSearch): Promise<Album[]>;
  statistics(): Promise<CatalogStatistics>;
  /** Hints about a filter, one sentence each: for a genre that no album has, the most similar one. At most five. */
  notesOn(filter: AlbumFilter): Promise<string[]>;
  /** Whether albums can be recognised in photos. */
  canIdentify(): Promise<boolean>;
  /** The albums whose covers a photo shows, largest first. Only if it {@link canIdentify}. */
  identify(photo: EncodedPhoto, signal?: AbortSignal): Promise<Identified[]>;
  /** Whether an album's cover has enough features to be recognised; `null` if none can. */
  isIdentifiable(id: number): Promise<boolean | null>;
}

/** Where the service gets its corpus. */
export interface CorpusSource {
  /** The current version. */
  readonly corpus: Corpus;
  /** Replaces the corpus by a new version. @throws AppError if that can't be served; the old one then stays in use */
  reload(): Promise<void>;
}
