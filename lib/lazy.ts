/** Something made once, when it is first asked for. */
export interface Lazy<T> {
  /**
   * Callers that come while it is being made share one promise; a failure is forgotten, so that the next
   * call tries again.
   */
  (): Promise<T>;
  /** The value where it has been made, else `undefined`. Reading it never starts anything. */
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
