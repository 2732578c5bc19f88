import pLimit from 'p-limit';
import type { Album } from '../catalog/album.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import type { NameIndex } from '../catalog/name-index.ts';
import type { CatalogStatistics } from '../catalog/statistics.ts';
import type { EncodedPhoto } from '../clip/encoder-worker.ts';
import { usableCores } from '../concurrency/cores.ts';
import type { Lazy } from '../concurrency/lazy.ts';
import { AppError } from '../errors.ts';
import type { FeatureIndex } from '../identify/feature-index.ts';
import { identify } from '../identify/identify.ts';
import type { Neighbours, VectorIndex } from '../vectors/vector-index.ts';
import type {
  Corpus,
  CorpusSource,
  CorpusState,
  FilterOptions,
  Identified,
  NameSearch,
  NearestOptions,
  Neighbour,
} from './corpus.ts';

interface Parts {
  catalog: Lazy<Catalog>;
  /** Finds albums of the catalog by name. */
  names: Lazy<NameIndex>;
  /** Checked against the catalog when it is loaded. */
  index: Lazy<VectorIndex>;
  /** Checked likewise; `null` if albums in photos can't be identified. */
  features: Lazy<FeatureIndex | null>;
}

/**
 * A corpus in files: the list of albums, the FAISS index and the covers' features. When the files change, a new corpus
 * replaces it; searches in progress finish with the old one, whose memory is then freed.
 */
export class FileCorpus implements Corpus {
  readonly parts: Parts;
  /** Cache entries refer to it, so that they do not keep the corpus in memory. */
  readonly version = Symbol('corpus');
  /** Limits concurrent searches that cannot be batched, over given rows and over features: each takes a core. */
  readonly #turns = pLimit(usableCores());
  #users = 0;
  #retired = false;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      return await work();
    } finally {
      this.#users -= 1;
      this.#freeUnused();
    }
  }

  /** Frees index and features once no work uses them. Called when the corpus is no longer served. */
  retire(): void {
    this.#retired = true;
    this.#freeUnused();
  }

  #freeUnused(): void {
    if (!this.#retired || this.#users > 0) return;
    this.parts.index.made?.dispose();
    this.parts.features.made?.close();
  }

  async load(): Promise<void> {
    await Promise.all([this.parts.index(), this.parts.features()]);
  }

  async loadNames(): Promise<void> {
    await this.parts.names();
  }

  get state(): CorpusState {
    const { index, features, catalog } = this.parts;
    return {
      embeddings: index.made !== undefined,
      albums: catalog.made !== undefined,
      size: index.made?.size ?? null,
      identification: features.made === undefined ? null : features.made !== null,
      issues: catalog.made?.issues ?? null,
    };
  }

  async size(): Promise<number> {
    return (await this.parts.catalog()).size;
  }

  async dimension(): Promise<number> {
    return (await this.parts.index()).dimension;
  }

  async nearest(
    embedding: Float32Array,
    { k, filter, signal }: NearestOptions,
  ): Promise<Neighbour[]> {
    const [catalog, index] = await Promise.all([this.parts.catalog(), this.parts.index()]);
    const bits = catalog.bitsMatching(filter);
    const found = await (bits
      ? this.#inTurn(signal, () => index.search(embedding, k, bits))
      : index.search(embedding, k, undefined, signal));
    return neighboursOf(found, catalog, index);
  }

  async similarities(
    embedding: Float32Array,
    ids: readonly number[],
    { filter, signal }: FilterOptions,
  ): Promise<ReadonlyMap<number, number>> {
    const [catalog, index] = await Promise.all([this.parts.catalog(), this.parts.index()]);
    const matches = catalog.rowMatcher(filter);
    const rows = ids
      .map((id) => catalog.rowOf(id))
      .filter((row) => row !== undefined && matches(row)) as number[];
    if (rows.length === 0) return new Map();
    const ascending = Uint32Array.from(new Set(rows)).sort();
    const found = await this.#inTurn(signal, () =>
      index.search(embedding, ascending.length, ascending),
    );
    return new Map(
      neighboursOf(found, catalog, index).map(({ album, similarity }) => [album.id, similarity]),
    );
  }

  async album(id: number): Promise<Album | undefined> {
    return (await this.parts.catalog()).byId(id);
  }

  async embeddingOf(id: number): Promise<Float32Array | undefined> {
    const [catalog, index] = await Promise.all([this.parts.catalog(), this.parts.index()]);
    const row = catalog.rowOf(id);
    return row === undefined ? undefined : index.vectorOf(row);
  }

  async byName(
    words: string,
    { k, offset = 0, filter, everyWord = false, signal }: NameSearch,
  ): Promise<Album[]> {
    const [catalog, names] = await Promise.all([this.parts.catalog(), this.parts.names()]);
    const matches = catalog.rowMatcher(filter);
    const rows = await names.search(words, { limit: offset + k, matches, everyWord, signal });
    return rows.slice(offset).map((row) => catalog.atRow(row));
  }

  async statistics(): Promise<CatalogStatistics> {
    return (await this.parts.catalog()).statistics();
  }

  async notesOn(filter: AlbumFilter): Promise<string[]> {
    return (await this.parts.catalog()).notesOn(filter);
  }

  async canIdentify(): Promise<boolean> {
    return (await this.parts.features()) !== null;
  }

  async identify(photo: EncodedPhoto, signal?: AbortSignal): Promise<Identified[]> {
    const [catalog, index, features] = await Promise.all([
      this.parts.catalog(),
      this.parts.index(),
      this.parts.features(),
    ]);
    if (!features) throw new AppError('internal_error', 'This corpus has no features.');
    const { rows } = await index.search(photo.embedding, alsoLookedAt, undefined, signal);
    const findings = await this.#inTurn(signal, () =>
      identify(features, photo.features, [...rows]),
    );
    return findings.map(({ row, points, outline, alternatives }) => ({
      ...{ album: catalog.atRow(row), points, outline },
      alternatives: alternatives.map((other) => catalog.atRow(other)),
    }));
  }

  async isIdentifiable(id: number): Promise<boolean | null> {
    const row = (await this.parts.catalog()).rowOf(id);
    return row === undefined ? null : (this.parts.features.made?.isIdentifiable(row) ?? null);
  }

  /** Limits concurrent searches that cannot be batched. */
  #inTurn<T>(signal: AbortSignal | undefined, search: () => Promise<T>): Promise<T> {
    return this.#turns(() => {
      signal?.throwIfAborted();
      return search();
    });
  }
}

/** Number of nearest covers by embedding that are checked in addition to those that the features vote for. */
const alsoLookedAt = 20;

/** Rows and distances as neighbours; an album is read when it is asked for, since many of the cached ones never are. */
const neighboursOf = (
  { rows, distances }: Neighbours,
  catalog: Catalog,
  index: VectorIndex,
): Neighbour[] =>
  Array.from(
    rows,
    (row, i) => new StoredNeighbour(catalog, row, index.similarity(distances[i] ?? NaN)),
  );

class StoredNeighbour implements Neighbour {
  readonly #catalog: Catalog;
  readonly #row: number;
  readonly similarity: number;

  constructor(catalog: Catalog, row: number, similarity: number) {
    this.#catalog = catalog;
    this.#row = row;
    this.similarity = similarity;
  }

  get album(): Album {
    return this.#catalog.atRow(this.#row);
  }
}

/**
 * Serves a corpus in files, and new versions of them.
 *
 * @param check throws if a new version can't be served
 */
export function fileSource(
  make: () => FileCorpus,
  check: (next: Corpus) => Promise<void>,
): CorpusSource {
  let corpus = make();
  return {
    get corpus() {
      return corpus;
    },
    reload: async () => {
      const next = make();
      try {
        await next.load();
        await check(next);
        if (corpus.parts.names.made) await next.loadNames();
      } catch (error) {
        next.retire(); // it will never be searched
        throw error;
      }
      corpus.retire();
      corpus = next;
    },
  };
}
