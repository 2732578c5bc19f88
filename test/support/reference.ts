import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What Python's libraries make of pictures, texts and indexes, and real rows of metadata. */
export interface Reference {
  /** Where it lies, from the repository's root. */
  name: string;
  /** Why tests of it are skipped, or `false` where it is there. */
  skip: string | false;
  path: (name: string) => string;
}

const referenceAt = (name: string): Reference => {
  const path = (file: string) => fileURLToPath(new URL(`../../${name}/${file}`, import.meta.url));
  return { name, path, skip: existsSync(path('golden.json')) ? false : `${name} is not here` };
};

/** A part of the whole one, small enough for the repository. */
export const smallReference = referenceAt('test/fixtures/reference');

/** The whole one, which may lie beside the repository. */
export const wholeReference = referenceAt('../shared/reference');

export const references: readonly Reference[] = [smallReference, wholeReference];
