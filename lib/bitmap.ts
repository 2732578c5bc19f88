/** A bit of a bitmap, whose bytes begin with their lowest bit. */
export const bitAt = (bitmap: Uint8Array, at: number): boolean =>
  (((bitmap[at >> 3] ?? 0) >> (at & 7)) & 1) === 1;
