import type { Catalog } from './catalog/catalog.ts';
import type { Lazy } from './lazy.ts';
import type { VectorIndex } from './vectors/vector-index.ts';

/**
 * The albums and their vectors, as they belong together. A search takes one and keeps it: when the files
 * change, searches under way end with the old one.
 */
export interface Corpus {
  readonly catalog: Lazy<Catalog>;
  /** Checked against the catalog when it is loaded. */
  readonly index: Lazy<VectorIndex>;
}
