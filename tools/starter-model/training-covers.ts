import { layouts, type CoverSpec } from '../starter-set/covers.ts';
import { inventArtist, inventTitle } from '../starter-set/names.ts';
import { Random } from '../starter-set/random.ts';
import { anyTags, starterAlbums } from '../starter-set/starter-albums.ts';

/**
 * The seed of the first training cover; the others follow consecutively. The starter set's covers have seeds drawn
 * from `starterSeed` and evenly distributed compositions.
 */
const firstSeed = 700_000_000;

/** The cover of a seed, which determines everything. */
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

/** Training covers, without any whose drawing seed occurs in the starter set: 32-bit seeds may collide. */
export function trainingSpecs(count: number): CoverSpec[] {
  const served = new Set(starterAlbums().map(({ spec }) => spec.seed));
  return Array.from({ length: count }, (_, i) => trainingSpec(firstSeed + i)).filter(
    ({ seed }) => !served.has(seed),
  );
}
