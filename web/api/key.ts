const storageKey = 'api-key';

/** The API key entered on this page, kept while the tab is open. */
class ApiKey {
  #value = stored();
  readonly #listeners = new Set<() => void>();

  /** `null` if none was entered. */
  get value(): string | null {
    return this.#value;
  }

  enter(key: string): void {
    this.#value = key;
    try {
      sessionStorage.setItem(storageKey, key);
    } catch {
      // then it is kept only until the page is closed
    }
    for (const listener of [...this.#listeners]) listener();
  }

  /** @returns a function that removes the listener */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Reading throws if the browser blocks cookies, which blocks this storage too. */
function stored(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

export const apiKey = new ApiKey();
