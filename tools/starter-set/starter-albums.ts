import { drawCover, layouts, type CoverSpec, type CoverTags } from './covers.ts';
import { genres, inventArtist, inventLabel, inventReviewer, inventTitle } from './names.ts';
import { colours, contrast, groundsFor, type Colour } from './palette.ts';
import { Random } from './random.ts';
import { shapes } from './shapes.ts';
import { textures } from './textures.ts';

/** The seed of the starter set. Covers of this seed are never used for training. */
export const starterSeed = 20_240_117;

/** Two or three covers for each of the 9 shapes in each of 10 colours, four for each of the 6 textures in each. */
export const starterCount = 240;

/** One element of the metadata file, with its keys in the file's order. */
export interface StarterRow {
  readonly local_id: number;
  readonly filename: string;
  readonly artist: string;
  readonly album_name: string;
  readonly genre: string;
  readonly label: string;
  readonly release_year: number;
  readonly score: number;
  readonly best_new_music: 0 | 1;
  readonly reviewer_name: string;
  readonly cover_url: null;
}

export interface StarterAlbum {
  readonly row: StarterRow;
  readonly tags: CoverTags;
  readonly spec: CoverSpec;
}

/**
 * Invents albums. Every pair of a shape and its colour occurs equally often (except for rounding), and so does
 * every pair of a texture and its colour.
 *
 * @param options.seed default: {@link starterSeed}
 * @param options.count default: {@link starterCount}
 * @returns albums by ascending `local_id`; ids have gaps, so that they differ from row numbers
 */
export function starterAlbums(options: { seed?: number; count?: number } = {}): StarterAlbum[] {
  const { seed = starterSeed, count = starterCount } = options;
  const random = new Random(seed);
  const names = new Set<string>();
  let id = 0;
  return evenTags(count, random).map((tags) => {
    id += random.chance(0.04) ? random.integer(2, 4) : 1;
    const { artist, title } = freshNames(names, random);
    const spec: CoverSpec = {
      seed: random.seed(),
      layout: random.pick(layouts),
      tags,
      artist,
      title,
    };
    return { row: inventRow(id, artist, title, random), tags, spec };
  });
}

/** @returns the cover as an SVG document of 640 x 640 */
export const coverSvg = (album: StarterAlbum): string => drawCover(album.spec);

/** Random tags, as used for the training covers. */
export function anyTags(random: Random): CoverTags {
  for (;;) {
    const inks: Inks = {
      shape: random.pick(shapes),
      shapeColour: random.pick(colours),
      texture: random.pick(textures),
      textureColour: random.pick(colours),
    };
    if (fits(inks)) return grounded(inks, random);
  }
}

type Inks = Omit<CoverTags, 'baseColour'>;

/** Minimum contrast between a shape and the texture behind it; below `legible` a halo separates them. */
const apart = 24;

const fits = ({ shapeColour, textureColour }: Inks): boolean =>
  contrast(shapeColour, textureColour) >= apart &&
  groundsFor([shapeColour, textureColour]).length > 0;

const grounded = (inks: Inks, random: Random): CoverTags => ({
  ...inks,
  baseColour: random.pick(groundsFor([inks.shapeColour, inks.textureColour])),
});

const pairs = <T>(things: readonly T[]): [T, Colour][] =>
  things.flatMap((thing) => colours.map((colour): [T, Colour] => [thing, colour]));

/** Repeats a list up to `count` items, the last time with evenly spread gaps, and shuffles the result. */
function deal<T>(cards: readonly T[], count: number, random: Random): T[] {
  const rest = count % cards.length;
  const whole = Array.from({ length: Math.floor(count / cards.length) }, () => cards).flat();
  const spread = cards.filter((_, i) => (i * rest) % cards.length < rest);
  return random.shuffled([...whole, ...spread]);
}

/** Pairs shapes with textures at random; if their colours do not fit, swaps two textures. */
function evenTags(count: number, random: Random): CoverTags[] {
  const shapePairs = deal(pairs(shapes), count, random);
  const texturePairs = deal(pairs(textures), count, random);
  const inksAt = (shapeAt: number, textureAt: number): Inks => {
    const [shape, shapeColour] = shapePairs[shapeAt] ?? ['circle', 'black'];
    const [texture, textureColour] = texturePairs[textureAt] ?? ['dots', 'white'];
    return { shape, shapeColour, texture, textureColour };
  };
  for (let at = 0; at < count; at++)
    while (!fits(inksAt(at, at))) {
      const other = random.integer(0, count - 1);
      const mine = texturePairs[at];
      const theirs = texturePairs[other];
      const helps = fits(inksAt(at, other)) && (fits(inksAt(other, at)) || other > at);
      if (helps && mine && theirs) {
        texturePairs[at] = theirs;
        texturePairs[other] = mine;
      }
    }
  return shapePairs.map((_, at) => grounded(inksAt(at, at), random));
}

function freshNames(taken: Set<string>, random: Random): { artist: string; title: string } {
  for (;;) {
    const artist = inventArtist(random);
    const title = inventTitle(random);
    const key = `${artist}\n${title}`;
    if (taken.has(key)) continue;
    taken.add(key);
    return { artist, title };
  }
}

function inventRow(id: number, artist: string, title: string, random: Random): StarterRow {
  const best = random.chance(0.08);
  // Three draws give a distribution with a peak around 7, like real scores; a "best new" album scores 8.2 or more.
  const hill = 10 * Math.max(random.next(), (random.next() + random.next()) / 2);
  const score = best ? random.between(8.2, 10) : hill;
  return {
    local_id: id,
    filename: `album_${String(id)}.jpg`,
    artist,
    album_name: title,
    genre: random.pick(genres),
    label: inventLabel(random),
    release_year: random.integer(1960, 2024),
    score: Math.round(score * 10) / 10,
    best_new_music: best ? 1 : 0,
    reviewer_name: inventReviewer(random),
    cover_url: null,
  };
}
