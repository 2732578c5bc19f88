import type { Catalog } from './catalog/catalog.ts';
import type { Lazy } from './lazy.ts';
import type { VectorIndex } from './vectors/vector-index.ts';

/**
 * The albums and their vectors, as they belong together. When the files change another takes its place; what is under
 * way ends with the old one, and then its memory is freed.
 */
export class Corpus {
  readonly catalog: Lazy<Catalog>;
  /** Checked against the catalog when it is loaded. */
  readonly index: Lazy<VectorIndex>;
  #users = 0;
  #retired = false;

  constructor(parts: { catalog: Lazy<Catalog>; index: Lazy<VectorIndex> }) {
    this.catalog = parts.catalog;
    this.index = parts.index;
  }

  /** Loads both where they are not, and keeps them while the work lasts. */
  async use<T>(work: (index: VectorIndex, catalog: Catalog) => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      const [index, catalog] = await Promise.all([this.index(), this.catalog()]);
      return await work(index, catalog);
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
    if (this.#retired && this.#users === 0) this.index.made?.dispose();
  }
}
