import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A file of the reference data that may lie beside the repository. */
export const referencePath = (name: string): string =>
  fileURLToPath(new URL(`../../../shared/reference/${name}`, import.meta.url));

/** Why tests that need the reference data are skipped, or `false` where it is there. */
export const referenceSkip: string | false = existsSync(referencePath('golden.json'))
  ? false
  : '../shared/reference is not here';
