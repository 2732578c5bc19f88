import { AppError } from '../errors.ts';

/**
 * Admits a bounded number of searches at a time, so that neither memory nor waiting grows without bound.
 * A search holds its place from before its upload is read until it is answered.
 */
export class Gate {
  #inside = 0;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /**
   * Runs the work, or refuses at once.
   *
   * @throws AppError `busy` where `capacity` searches are inside
   */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#capacity)
      throw new AppError(
        'busy',
        `${String(this.#inside)} searches are waiting already: try again in a moment.`,
      );
    this.#inside += 1;
    try {
      return await work();
    } finally {
      this.#inside -= 1;
    }
  }
}
