import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Reference outputs of Python's libraries for pictures, texts and indexes, and real metadata rows. */
export interface Reference {
  /** Its path, relative to the repository's root. */
  name: string;
  /** Why its tests are skipped, or `false` if it is present. */
  skip: string | false;
  path: (name: string) => string;
}

const referenceAt = (name: string): Reference => {
  const path = (file: string) => fileURLToPath(new URL(`../../${name}/${file}`, import.meta.url));
  return { name, path, skip: existsSync(path('golden.json')) ? false : `${name} is missing` };
};

/** A subset that is small enough for the repository. */
export const smallReference = referenceAt('test/fixtures/reference');

/** The full reference, in a sibling folder of the repository if present. */
export const wholeReference = referenceAt('../shared/reference');

export const references: readonly Reference[] = [smallReference, wholeReference];
