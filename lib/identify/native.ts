import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AppError } from '../errors.ts';

/** Features of one picture, or of several, concatenated. */
export interface Features {
  /** n × 32 bytes: a code of 256 bits per feature. */
  codes: Uint8Array;
  /** n × 6 bytes: x and y in 32nds of a pixel (16 bits each), direction in 256ths of a turn, level of the pyramid. */
  places: Uint8Array;
}

/** A point in pixels. */
export type Point = readonly [x: number, y: number];

/** The corners of a cover, clockwise from its upper left one. */
export type Outline = readonly [Point, Point, Point, Point];

/** A cover that may lie in a photo. */
export interface Sighting {
  row: number;
  /** Number of features found at their expected places, at different places and dissimilar to each other. */
  points: number;
  /** Number of cells with such features, of an 8 × 8 grid over the cover. */
  cells: number;
  /** Number of the cover's features whose expected place is inside the photo. */
  visible: number;
  outline: Outline;
  /** For each point x and y in the photo, and its cell. */
  spots: Float32Array;
}

export interface SightingOptions {
  /** Number of the photo's features, from the first, that are searched for among those of all covers. */
  voters: number;
  /** Lists scanned for each of them. */
  probes: number;
  /** Nearest features of each that vote for their covers. */
  neighbours: number;
  /** Number of covers with the most votes that are checked. */
  candidates: number;
}

/** A feature file mapped into memory. */
export interface MappedFeatures {
  /** @param rows 32-bit numbers of rows that are checked whatever their votes */
  identify: (
    photo: Features,
    width: number,
    height: number,
    options: SightingOptions,
    rows: Uint8Array,
  ) => Promise<Sighting[]>;
  /** Features of the rows `from` up to before `to`, row by row; `lists` are 32-bit numbers. */
  covers: (from: number, to: number) => Promise<Features & { lists: Uint8Array }>;
  close: () => void;
}

/** native/identify/binding.cc. Multi-byte numbers are little-endian, as on every machine supported here. */
interface Addon {
  extract: (grey: Uint8Array, width: number, height: number, most: number) => Promise<Features>;
  /** @returns the lists' centres, codes of 32 bytes each */
  train: (codes: Uint8Array, lists: number) => Promise<Uint8Array>;
  /** @returns the list of each code, 4 bytes each */
  assign: (codes: Uint8Array, centres: Uint8Array) => Promise<Uint8Array>;
  FeatureFile: new (
    path: string,
    counts: { covers: number; lists: number; features: number },
    at: readonly number[],
  ) => MappedFeatures;
}

/** Written by infra/build-identify.mjs; the path is the same from the sources and from a bundle. */
const addonPath = fileURLToPath(new URL('../../build/identify.node', import.meta.url));

let loaded: Addon | null | undefined;

function load(): Addon | null {
  try {
    return createRequire(import.meta.url)(addonPath) as Addon;
  } catch {
    return null; // not built: that requires a C++ compiler
  }
}

/** Whether albums can be identified in photos here: requires the addon, which is built if a C++ compiler is present. */
export const canIdentify = (): boolean => (loaded ??= load()) !== null;

/** @throws AppError `index_unreadable` if the addon is not built */
export function native(): Addon {
  if (!canIdentify() || !loaded)
    throw new AppError(
      'index_unreadable',
      'Albums in photos cannot be recognised, because the addon is not built: install a C++ compiler and run npm run setup.',
    );
  return loaded;
}
