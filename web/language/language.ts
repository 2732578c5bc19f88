import { en, type Words } from './en.ts';
import { fr } from './fr.ts';

export const dictionaries = { en, fr } satisfies Record<string, Words>;
export type LanguageCode = keyof typeof dictionaries;

const storageKey = 'language';
const isKnown = (code: string | null): code is LanguageCode =>
  code !== null && code in dictionaries;

/** The language chosen earlier, else the browser's first supported language, else English. */
function firstLanguage(): LanguageCode {
  const chosen = stored();
  if (isKnown(chosen)) return chosen;
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find(isKnown) ?? 'en';
}

/** Reading throws if the browser blocks cookies, which blocks this storage too. */
function stored(): string | null {
  try {
    return localStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

/** The language of the page. */
class Language {
  code: LanguageCode = firstLanguage();
  readonly #listeners: (() => void)[] = [];

  get words(): Words {
    return dictionaries[this.code];
  }

  /** @param listener called after every change */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  choose(code: LanguageCode): void {
    this.code = code;
    try {
      localStorage.setItem(storageKey, code);
    } catch {
      // then the choice holds for this visit only
    }
    for (const listener of this.#listeners) listener();
  }

  /** A number formatted for the language, e.g. `0,95`. */
  number(value: number, decimals = 0): string {
    return value.toLocaleString(this.code, {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    });
  }

  percent(share: number): string {
    return share.toLocaleString(this.code, { style: 'percent' });
  }
}

export const language = new Language();
