import { AppError } from '../errors.ts';

/** Admits a bounded number of pieces of work at a time, so that neither memory nor waiting grows without bound. */
export class Gate {
  #inside = 0;
  readonly #capacity: number;
  readonly #what: string;

  /** @param what is counted, in the plural */
  constructor(capacity: number, what: string) {
    this.#capacity = capacity;
    this.#what = what;
  }

  /** @throws AppError `busy` where no place is free */
  assertRoom(): void {
    if (this.#inside >= this.#capacity)
      throw new AppError(
        'busy',
        `${String(this.#inside)} ${this.#what} are already waiting: try again in a moment.`,
      );
  }

  /**
   * Runs the work, or refuses at once.
   *
   * @throws AppError `busy` where no place is free
   */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    this.assertRoom();
    this.#inside += 1;
    try {
      return await work();
    } finally {
      this.#inside -= 1;
    }
  }
}
