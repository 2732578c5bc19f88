/**
 * Writes an integer of 0 to 2³² − 1 in seven bits per byte, least first; the eighth bit says that more follow (LEB128).
 *
 * @returns the position after it, at most 5 further
 */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let [rest, next] = [value, at];
  while (rest > 127) {
    bytes[next++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[next++] = rest;
  return next;
}

/** Number of bytes that {@link writeVarint} takes. */
export const varintLength = (value: number): number =>
  value < 2 ** 7 ? 1 : value < 2 ** 14 ? 2 : value < 2 ** 21 ? 3 : value < 2 ** 28 ? 4 : 5;

/** Reads integers one after the other. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  /** @param start position of the first integer @param end position after the last */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  next(): number {
    let byte = this.#bytes[this.#at++] ?? 0;
    let value = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      byte = this.#bytes[this.#at++] ?? 0;
      value |= (byte & 127) << shift;
    }
    return value >>> 0;
  }
}
