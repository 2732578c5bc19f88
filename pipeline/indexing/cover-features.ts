import { usableCores } from '../../lib/concurrency/cores.ts';
import { isAppError } from '../../lib/errors.ts';
import type { CoverFeatures } from '../../lib/identify/feature-file.ts';
import { featuresOfCover } from '../../lib/identify/features.ts';
import { mapInOrder } from '../map-in-order.ts';
import type { CoverOwner } from '../../lib/assets/covers.ts';
import { readCover } from './read-cover.ts';

export interface FeatureEvent {
  type: 'features';
  done: number;
  total: number;
}

/** Covers per progress event. */
const reportEach = 64;

/** The features of a missing or unreadable cover. */
const none: CoverFeatures = {
  ...{ width: 0, height: 0 },
  ...{ codes: new Uint8Array(0), places: new Uint8Array(0) },
};

/**
 * Extracts the features of covers, by which albums are recognised in photos. Missing and unreadable covers have none.
 *
 * @returns the features of each album, in the same order: at most 19 KB per cover in memory
 * @throws the signal's abort reason; AppError `index_unreadable` if the addon is not built
 */
export async function* makeFeatures(
  albums: readonly CoverOwner[],
  imagesDir: string,
  signal?: AbortSignal,
): AsyncGenerator<FeatureEvent, CoverFeatures[]> {
  const made: CoverFeatures[] = [];
  const total = albums.length;
  const making = mapInOrder([...albums.entries()], usableCores() + 1, ([position, album]) =>
    featuresOf(album, imagesDir, position),
  );
  for await (const one of making) {
    made.push(one);
    signal?.throwIfAborted();
    if (made.length % reportEach === 0 || made.length === total)
      yield { type: 'features', done: made.length, total };
  }
  return made;
}

async function featuresOf(
  album: CoverOwner,
  imagesDir: string,
  position: number,
): Promise<CoverFeatures> {
  const cover = await readCover(imagesDir, album, position);
  if (!('bytes' in cover)) return none;
  try {
    return await featuresOfCover(cover.bytes);
  } catch (error) {
    if (isAppError(error) && error.code !== 'index_unreadable') return none; // the picture's fault
    throw error;
  }
}
