import { AppError } from '../errors.ts';

/** Limits the number of concurrent tasks, so that neither memory nor waiting time grows without bound. */
export class Gate {
  #inside = 0;
  readonly #capacity: number;
  readonly #what: string;

  /** @param what plural noun for the tasks, for the error */
  constructor(capacity: number, what: string) {
    this.#capacity = capacity;
    this.#what = what;
  }

  /** @throws AppError `busy` if the limit is reached */
  assertRoom(): void {
    if (this.#inside >= this.#capacity)
      throw new AppError(
        'busy',
        `${String(this.#inside)} ${this.#what} are already waiting: try again in a moment.`,
      );
  }

  /** Runs the work, or refuses at once. @throws AppError `busy` if the limit is reached */
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
