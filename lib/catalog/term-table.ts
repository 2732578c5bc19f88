import { letterBit, longestTerm, Terms } from './terms.ts';

/** Number of terms that are sorted or copied before others get a turn. */
const slice = 1024;

const [capitalA, capitalZ] = [65, 90];

/** Collects the terms of a catalog and numbers them in the order in which they are first seen: a hash table. */
export class TermTable {
  /** All terms one after the other, in UTF-16, and where each starts; one more for the end of the last. */
  #text = new Uint16Array(slice);
  #starts = new Uint32Array(slice);
  #size = 0;
  /** Open addressing: a term's number plus one, or 0 where none is. At most half are taken. */
  #slots = new Uint32Array(2 * slice);

  /**
   * The number of the term in a part of a text; capitals of ASCII are read as small letters.
   *
   * @param from position of its first code unit
   * @param to position after its last
   */
  numberOf(text: string, from = 0, to = text.length): number {
    const length = Math.min(to - from, longestTerm);
    const start = this.#starts[this.#size] ?? 0;
    if (start + length > this.#text.length) this.#text = doubled(this.#text);
    const units = this.#text;
    for (let i = 0; i < length; i += 1) {
      const unit = text.charCodeAt(from + i);
      units[start + i] = unit >= capitalA && unit <= capitalZ ? unit + 32 : unit;
    }
    const slot = this.#slotOf(start, start + length);
    const found = this.#slots[slot] ?? 0;
    if (found > 0) return found - 1;
    this.#size += 1;
    if (this.#size === this.#starts.length) this.#starts = doubled(this.#starts);
    this.#starts[this.#size] = start + length;
    this.#slots[slot] = this.#size;
    if (2 * this.#size > this.#slots.length) this.#rehash();
    return this.#size - 1;
  }

  /** The slot of a term of the text, or the free one where it belongs. */
  #slotOf(start: number, end: number): number {
    const text = this.#text;
    let hash = 0x811c9dc5; // FNV-1a's constants
    for (let i = start; i < end; i += 1) hash = Math.imul(hash ^ (text[i] ?? 0), 0x01000193);
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (let held; (held = this.#slots[slot] ?? 0) > 0; slot = (slot + 1) & mask) {
      const other = this.#starts[held - 1] ?? 0;
      if ((this.#starts[held] ?? 0) - other !== end - start) continue;
      let i = start;
      while (i < end && text[i] === text[other + i - start]) i += 1;
      if (i === end) break;
    }
    return slot;
  }

  #rehash(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let number = 0; number < this.#size; number += 1) {
      const slot = this.#slotOf(this.#starts[number] ?? 0, this.#starts[number + 1] ?? 0);
      this.#slots[slot] = number + 1;
    }
  }

  /** The sorted terms, and the place of each number among them. Yields between slices of the work. */
  *sort(): Generator<undefined, { terms: Terms; placeOf: Uint32Array }> {
    const numbers = yield* this.#sortedNumbers();
    const placeOf = new Uint32Array(this.#size);
    const text = new Uint16Array(this.#starts[this.#size] ?? 0);
    const starts = new Uint32Array(this.#size + 1);
    const letters = new Uint32Array(this.#size);
    let end = 0;
    for (const [place, number] of numbers.entries()) {
      placeOf[number] = place;
      const to = this.#starts[number + 1] ?? 0;
      let found = 0;
      for (let i = this.#starts[number] ?? 0; i < to; i += 1) {
        const unit = this.#text[i] ?? 0;
        text[end++] = unit;
        found |= letterBit(unit);
      }
      letters[place] = found;
      starts[place + 1] = end;
      if (place % slice === 0) yield;
    }
    return { terms: new Terms(text, starts, letters), placeOf };
  }

  /** A merge sort. */
  *#sortedNumbers(): Generator<undefined, Uint32Array> {
    let from = Uint32Array.from({ length: this.#size }, (_, number) => number);
    for (let start = 0; start < this.#size; start += slice) {
      from.subarray(start, start + slice).sort((a, b) => this.#compare(a, b));
      yield;
    }
    let to = new Uint32Array(this.#size);
    for (let width = slice; width < this.#size; width *= 2) {
      for (let start = 0; start < this.#size; start += 2 * width)
        yield* this.#merge(from, to, start, width);
      [from, to] = [to, from];
    }
    return from;
  }

  /** Merges two neighbouring sorted runs of a width into one. */
  *#merge(from: Uint32Array, to: Uint32Array, start: number, width: number): Generator<undefined> {
    const middle = Math.min(start + width, this.#size);
    const end = Math.min(middle + width, this.#size);
    let [left, right] = [start, middle];
    for (let at = start; at < end; at += 1) {
      const isLeft =
        right === end || (left < middle && this.#compare(from[left] ?? 0, from[right] ?? 0) < 0);
      to[at] = from[isLeft ? left++ : right++] ?? 0;
      if (at % slice === 0) yield;
    }
  }

  /** Negative if the first term is before the second. */
  #compare(one: number, other: number): number {
    const [a, b] = [this.#starts[one] ?? 0, this.#starts[other] ?? 0];
    const lengths = [(this.#starts[one + 1] ?? 0) - a, (this.#starts[other + 1] ?? 0) - b] as const;
    for (let i = 0; i < lengths[0] && i < lengths[1]; i += 1) {
      const difference = (this.#text[a + i] ?? 0) - (this.#text[b + i] ?? 0);
      if (difference !== 0) return difference;
    }
    return lengths[0] - lengths[1];
  }
}

/** The same with as much room again. */
function doubled<T extends Uint16Array | Uint32Array>(array: T): T {
  const larger = new (array.constructor as new (length: number) => T)(2 * array.length);
  larger.set(array);
  return larger;
}
