import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AppError } from '../errors.ts';

/** Features of one picture, or of several, one after the other. */
export interface Features {
  /** n × 32 bytes: a code of 256 bits each. */
  codes: Uint8Array;
  /** n × 6 bytes: x and y in 32nds of a pixel (16 bits each), direction in 256ths of a turn, level of the pyramid. */
  places: Uint8Array;
}

/** A point in pixels. */
export type Point = readonly [x: number, y: number];

/** Where a cover lies: its corners from its upper left one on, clockwise. */
export type Outline = readonly [Point, Point, Point, Point];

/** A cover that may lie in a photo. */
export interface Sighting {
  row: number;
  /** Features that were found where they belong, distinct in place and unlike each other. */
  points: number;
  /** Cells in which these lie, of a grid of 8 × 8 over the cover. */
  cells: number;
  /** Features of the cover whose place is in the photo. */
  visible: number;
  outline: Outline;
  /** Of each point x and y in the photo, and its cell. */
  spots: Float32Array;
}

export interface SightingOptions {
  /** Features of the photo, the first ones, that are looked for among those of all covers. */
  voters: number;
  /** Lists that each of them is looked for in. */
  probes: number;
  /** Nearest features that vote for their covers. */
  neighbours: number;
  /** Covers with the most votes that are looked at. */
  candidates: number;
}

/** A feature file mapped into memory. */
export interface MappedFeatures {
  /** @param rows 32-bit numbers of rows that are looked at whatever their votes */
  identify: (
    photo: Features,
    width: number,
    height: number,
    options: SightingOptions,
    rows: Uint8Array,
  ) => Promise<Sighting[]>;
  /** Features of the rows from one to before another, row by row; `lists` are 32-bit numbers. */
  covers: (from: number, to: number) => Promise<Features & { lists: Uint8Array }>;
  close: () => void;
}

/** native/identify/binding.cc. Numbers of several bytes are little-endian, as on every machine that Node runs on. */
interface Addon {
  extract: (grey: Uint8Array, width: number, height: number, most: number) => Promise<Features>;
  /** @returns `lists` codes, 32 bytes each */
  train: (codes: Uint8Array, lists: number) => Promise<Uint8Array>;
  /** @returns the list of each code, 4 bytes each */
  assign: (codes: Uint8Array, centres: Uint8Array) => Promise<Uint8Array>;
  FeatureFile: new (
    path: string,
    counts: { covers: number; lists: number; features: number },
    at: readonly number[],
  ) => MappedFeatures;
}

/** infra/build-identify.mjs puts it here; the path is the same from the sources and from a bundle. */
const addonPath = fileURLToPath(new URL('../../build/identify.node', import.meta.url));

let loaded: Addon | null | undefined;

function load(): Addon | null {
  try {
    return createRequire(import.meta.url)(addonPath) as Addon;
  } catch {
    return null; // built where there is a C++ compiler
  }
}

/** Whether photos can be identified here: the addon is built on a machine with a C++ compiler. */
export const canIdentify = (): boolean => (loaded ??= load()) !== null;

/** @throws AppError `index_unreadable` where the addon is not built */
export function native(): Addon {
  if (!canIdentify() || !loaded)
    throw new AppError(
      'index_unreadable',
      'Albums in photos cannot be recognised, because the addon is not built: install a C++ compiler and run npm run setup.',
    );
  return loaded;
}
