import { join } from 'node:path';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { inLockedFolder } from '../folder-lock.ts';
import { writeFeatureFile } from './write-features.ts';
import { featuresName, metadataName } from '../../lib/assets/assets.ts';
import { coverOwners } from './cover-owners.ts';
import { makeFeatures, type FeatureEvent } from './cover-features.ts';
import { FileSet, readManifest } from './file-set.ts';

export type AddFeaturesEvent =
  FeatureEvent | { type: 'wrote_features'; path: string; covers: number; bytes: number };

/**
 * Adds the features of the covers to a set, whatever program built its index, and to its manifest, if present.
 *
 * @param dir folder of the set
 * @param imagesDir folder of its covers
 * @throws AppError `index_unreadable` if the addon is not built; `busy` if another process is working in the folder;
 *   as `Catalog.open`; the file system's error, e.g. ENOSPC
 */
export const addFeatures = (
  dir: string,
  imagesDir: string,
  signal?: AbortSignal,
): AsyncGenerator<AddFeaturesEvent> =>
  inLockedFolder(dir, async function* () {
    await FileSet.recover(dir);
    const catalog = await Catalog.open(join(dir, metadataName));
    const manifest = await readManifest(dir);
    const set = await FileSet.begin(dir);
    try {
      const covers = yield* makeFeatures(coverOwners(catalog), imagesDir, signal);
      await writeFeatureFile(set.featuresPath, covers);
      const { bytes } = await set.finishFeatures(manifest);
      const path = join(dir, featuresName);
      yield { type: 'wrote_features', path, covers: covers.length, bytes };
    } catch (error) {
      await set.abandon();
      throw error;
    }
  });
