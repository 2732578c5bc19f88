import type { CoverOwner } from '../../lib/assets/covers.ts';
import type { Catalog } from '../../lib/catalog/catalog.ts';

/** What finds the covers of some albums, by row. @param to the row after the last one */
export const coverOwners = (catalog: Catalog, from = 0, to = catalog.size): CoverOwner[] =>
  Array.from({ length: to - from }, (_, i) => ({
    id: catalog.columns.id(from + i),
    filename: catalog.columns.text('filename', from + i),
  }));
