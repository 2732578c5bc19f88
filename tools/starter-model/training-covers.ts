import { layouts, type CoverSpec } from '../starter-set/covers.ts';
import { inventArtist, inventTitle } from '../starter-set/names.ts';
import { Random } from '../starter-set/random.ts';
import { anyTags, starterAlbums } from '../starter-set/starter-albums.ts';

/**
 * The seed of the first cover that the model is trained on; they go up by one. The starter set's own covers
 * have seeds drawn from `starterSeed` and compositions dealt out evenly.
 */
const firstSeed = 700_000_000;

/** The cover of a seed; the seed decides everything. */
function trainingSpec(seed: number): CoverSpec {
  const random = new Random(seed);
  return {
    seed: random.seed(),
    layout: random.pick(layouts),
    tags: anyTags(random),
    artist: inventArtist(random),
    title: inventTitle(random),
  };
}

/** Covers to train on, none of which is drawn from a seed of the starter set's (two of 32 bits may meet). */
export function trainingSpecs(count: number): CoverSpec[] {
  const served = new Set(starterAlbums().map(({ spec }) => spec.seed));
  return Array.from({ length: count }, (_, i) => trainingSpec(firstSeed + i)).filter(
    ({ seed }) => !served.has(seed),
  );
}
