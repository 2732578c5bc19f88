/** A seeded random generator: the same seed yields the same drawing on every machine. */
export class Random {
  #state: number;

  /** @param seed any integer; only its low 32 bits are used */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next number of mulberry32 (Tommy Ettinger's generator), in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A real number from `low` to `high`. */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** @param share probability, 0 to 1 */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** @throws RangeError if `from` is empty */
  pick<T>(from: readonly T[]): T {
    const picked = from[Math.floor(this.next() * from.length)];
    if (picked === undefined) throw new RangeError('Expected at least one thing to pick from.');
    return picked;
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffled<T>(of: readonly T[]): T[] {
    const left = [...of];
    const shuffled: T[] = [];
    while (left.length > 0) shuffled.push(...left.splice(Math.floor(this.next() * left.length), 1));
    return shuffled;
  }

  /** A seed for an independent generator, so that the draws of one part do not affect the next. */
  seed(): number {
    return Math.floor(this.next() * 2 ** 32);
  }
}
