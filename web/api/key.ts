const storageKey = 'api-key';

/** The key of the API that was entered on this page, for as long as its tab is open. */
class ApiKey {
  #value = stored();
  readonly #listeners = new Set<() => void>();

  /** `null` where none was entered. */
  get value(): string | null {
    return this.#value;
  }

  enter(key: string): void {
    this.#value = key;
    try {
      sessionStorage.setItem(storageKey, key);
    } catch {
      // then it is known until the page is left
    }
    for (const listener of [...this.#listeners]) listener();
  }

  /** @returns ends the listening */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Where cookies are blocked, so is this storage. */
function stored(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

export const apiKey = new ApiKey();
