import { bitAt } from '../../lib/bitmap.ts';

/** A bitmap of rows, of which there are `count` in all; as filters make them. */
export function bitmapOf(rows: Iterable<number>, count: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(count / 32));
  for (const row of rows) words[row >> 5] = (words[row >> 5] ?? 0) | (1 << (row & 31));
  return new Uint8Array(words.buffer);
}

/** The rows in a bitmap. */
export const rowsIn = (bitmap: Uint8Array): number[] =>
  Array.from({ length: 8 * bitmap.length }, (_, row) => row).filter((row) => bitAt(bitmap, row));
