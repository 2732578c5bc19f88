import type { Catalog } from './catalog/catalog.ts';
import type { FeatureIndex } from './identify/feature-index.ts';
import type { Lazy } from './lazy.ts';
import type { VectorIndex } from './vectors/vector-index.ts';

interface CorpusParts {
  catalog: Lazy<Catalog>;
  index: Lazy<VectorIndex>;
  features: Lazy<FeatureIndex | null>;
}

/**
 * The albums, their vectors and their covers' features, as they belong together. When the files change another takes its
 * place; what is under way ends with the old one, and then its memory is freed.
 */
export class Corpus implements CorpusParts {
  readonly catalog: Lazy<Catalog>;
  /** Checked against the catalog when it is loaded. */
  readonly index: Lazy<VectorIndex>;
  /** The same; `null` where albums in photos can't be identified. */
  readonly features: Lazy<FeatureIndex | null>;
  /** Another for each corpus: what is remembered by it does not keep the corpus in memory. */
  readonly version = Symbol('corpus');
  #users = 0;
  #retired = false;

  constructor(parts: CorpusParts) {
    this.catalog = parts.catalog;
    this.index = parts.index;
    this.features = parts.features;
  }

  /** Keeps what is loaded while the work lasts. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      return await work();
    } finally {
      this.#users -= 1;
      this.#freeUnused();
    }
  }

  /** Frees the index as soon as nobody uses it. Called when another corpus has taken this one's place. */
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
