/** A value that is created once, on first use. */
export interface Lazy<T> {
  /** Concurrent callers share one promise. A failure is not kept: the next call tries again. */
  (): Promise<T>;
  /** The value if it has been created, else `undefined`. Reading it starts nothing. */
  readonly made: T | undefined;
}

export function lazy<T>(make: () => Promise<T>): Lazy<T> {
  let held: Promise<T> | undefined;
  let made: T | undefined;
  const get = () =>
    (held ??= make().then(
      (value) => (made = value),
      (error: unknown) => {
        held = undefined;
        throw error;
      },
    ));
  return Object.defineProperty(get, 'made', { get: () => made }) as Lazy<T>;
}
