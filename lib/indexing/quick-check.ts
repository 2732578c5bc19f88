import { stat } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { digestFile, type Manifest } from './manifest.ts';

/**
 * Makes sure that a file is the one that the manifest describes, in milliseconds (52 MB: some 40).
 *
 * @param name the file's name in the manifest
 * @throws AppError `assets_inconsistent` where it is another
 */
export async function assertDescribed(
  manifest: Manifest | null,
  name: string,
  path: string,
): Promise<void> {
  const expected = manifest?.files[name];
  if (!expected) return;
  const same =
    (await stat(path)).size === expected.bytes &&
    (await digestFile(path)).sha256 === expected.sha256;
  if (!same)
    throw new AppError(
      'assets_inconsistent',
      `${path} is not the file that its manifest.json describes: they do not belong together, or are being replaced. (Without a manifest this is not checked.)`,
    );
}
