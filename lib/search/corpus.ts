import type { Catalog } from '../catalog/catalog.ts';
import type { NameIndex } from '../catalog/name-index.ts';
import type { FeatureIndex } from '../identify/feature-index.ts';
import type { Lazy } from '../concurrency/lazy.ts';
import type { VectorIndex } from '../vectors/vector-index.ts';

/**
 * The albums, their vectors and their covers' features, as one consistent set. When the files change, a new corpus
 * replaces it; searches in progress finish with the old one, whose memory is then freed.
 */
export class Corpus {
  readonly catalog: Lazy<Catalog>;
  /** Finds albums of the catalog by name. */
  readonly names: Lazy<NameIndex>;
  /** Checked against the catalog when it is loaded. */
  readonly index: Lazy<VectorIndex>;
  /** Checked likewise; `null` if albums in photos can't be identified. */
  readonly features: Lazy<FeatureIndex | null>;
  /** Unique to each corpus; cache entries refer to it, so that they do not keep the corpus in memory. */
  readonly version = Symbol('corpus');
  #users = 0;
  #retired = false;

  constructor(parts: Pick<Corpus, 'catalog' | 'names' | 'index' | 'features'>) {
    this.catalog = parts.catalog;
    this.names = parts.names;
    this.index = parts.index;
    this.features = parts.features;
  }

  /** Keeps the loaded parts in memory while the work runs. */
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
    this.index.made?.dispose();
    this.features.made?.close();
  }
}
