import { LRUCache } from 'lru-cache';
import { bitAt } from '../bitmap.ts';
import type { AlbumChunk, AlbumColumns } from './album-columns.ts';
import { genresIn } from './album.ts';

/** All criteria are optional; an album must satisfy each one given. */
export interface AlbumFilter {
  /** An album matches if any of its genres is any of these; case is ignored. */
  readonly genres?: readonly string[];
  readonly yearMin?: number;
  readonly yearMax?: number;
  readonly scoreMin?: number;
  readonly bestNewMusic?: boolean;
}

export const isEmptyFilter = (filter: AlbumFilter): boolean =>
  Object.values(filter).every((value) => value === undefined);

/** Whether a row passes, as 0 or 1. */
type Test = (at: number) => number;

interface Criterion {
  /** Different for criteria that differ. */
  key: string;
  /** Tests rows of a chunk by their position in it, without branches: unpredictable ones take twice as long. */
  testOf: (chunk: AlbumChunk) => Test;
}

/** An album without a year or score fails a filter on it. */
function criteriaOf(filter: AlbumFilter, genreNames: readonly string[]): Criterion[] {
  const { genres, yearMin, yearMax, scoreMin, bestNewMusic } = filter;
  const criteria: Criterion[] = [];
  if (genres) {
    const names = new Set(genres.map((genre) => genre.toLowerCase()));
    const passes = Uint8Array.from(genreNames, (name) =>
      Number(genresIn(name).some((genre) => names.has(genre.toLowerCase()))),
    );
    criteria.push({
      key: `genres ${JSON.stringify([...names].sort())}`,
      testOf:
        ({ genres: codes }) =>
        (at) =>
          passes[codes[at] ?? 0] ?? 0,
    });
  }
  if (yearMin !== undefined || yearMax !== undefined) {
    const least = Math.max(1, yearMin ?? 1); // 0: unknown
    const most = yearMax ?? Infinity;
    criteria.push({
      key: `years ${String(least)} ${String(most)}`,
      testOf:
        ({ years }) =>
        (at) => {
          const year = years[at] ?? 0;
          return Number(year >= least) & Number(year <= most);
        },
    });
  }
  if (scoreMin !== undefined)
    criteria.push({
      key: `score ${String(scoreMin)}`,
      testOf:
        ({ scores }) =>
        (at) =>
          Number((scores[at] ?? NaN) >= scoreMin),
    });
  if (bestNewMusic !== undefined)
    criteria.push({
      key: `best new music ${String(bestNewMusic)}`,
      testOf:
        ({ bestNewMusic: bits }) =>
        (at) =>
          Number(bitAt(bits, at) === bestNewMusic),
    });
  return criteria;
}

/** Criteria whose rows are kept. For a million albums each takes 125 KB, and 5 to 10 ms to make. */
const criteriaKept = 64;

/** Selects rows by filters. The rows that satisfy a criterion are kept as a bitmap, and those of several are intersected. */
export class RowFilter {
  readonly #columns: AlbumColumns;
  readonly #bitmaps = new LRUCache<string, Uint32Array>({ max: criteriaKept });

  constructor(columns: AlbumColumns) {
    this.#columns = columns;
  }

  /**
   * A bit for each row, the lowest bit of a byte first: 1 if its album satisfies the filter.
   *
   * @returns a multiple of 4 bytes; bits after the last row are 0
   */
  bitsOf(filter: AlbumFilter): Uint8Array {
    const { size, genreNames } = this.#columns;
    const bits = new Uint32Array(Math.ceil(size / 32)).fill(2 ** 32 - 1);
    if (size % 32 > 0) bits[bits.length - 1] = 2 ** (size % 32) - 1;
    for (const criterion of criteriaOf(filter, genreNames)) {
      const bitmap = this.#bitmaps.get(criterion.key) ?? this.#bitmapOf(criterion);
      for (let word = 0; word < bits.length; word += 1)
        bits[word] = (bits[word] ?? 0) & (bitmap[word] ?? 0);
    }
    return new Uint8Array(bits.buffer);
  }

  #bitmapOf({ key, testOf }: Criterion): Uint32Array {
    const { chunks, size } = this.#columns;
    const bitmap = new Uint32Array(Math.ceil(size / 32));
    let word = 0; // chunks begin with a word
    for (const chunk of chunks) {
      const test = testOf(chunk);
      const count = chunk.ids.length;
      for (let from = 0; from < count; from += 32) {
        const to = Math.min(from + 32, count);
        let bits = 0;
        for (let at = from; at < to; at += 1) bits |= test(at) << (at - from);
        bitmap[word] = bits;
        word += 1;
      }
    }
    this.#bitmaps.set(key, bitmap);
    return bitmap;
  }
}
