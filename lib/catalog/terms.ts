import leven from 'leven';

/** Wrong characters that are forgiven in a word; two swapped neighbours are one. */
export const mostErrors = (length: number): number =>
  length < 4 || length > 24 ? 0 : length < 6 ? 1 : 2;

/** Longest term in code units; longer words are cut. A query is not longer. */
export const longestTerm = 200;

/** Number of terms that are compared with a word before others get a turn. */
const slice = 1024;

/** The different words of a catalog, sorted by code units; a term is its position. */
export class Terms {
  /** All one after the other, in UTF-16. */
  readonly #text: Uint16Array;
  /** Position of each term's first code unit; one more for the end of the last. */
  readonly #starts: Uint32Array;
  /** The letters of each term ({@link letterBit}). */
  readonly #letters: Uint32Array;

  /** Called by {@link TermTable}. */
  constructor(text: Uint16Array, starts: Uint32Array, letters: Uint32Array) {
    this.#text = text;
    this.#starts = starts;
    this.#letters = letters;
  }

  /** Length of a term in code units. */
  lengthOf(term: number): number {
    return (this.#starts[term + 1] ?? 0) - (this.#starts[term] ?? 0);
  }

  /** The term that is the word, or `undefined`. */
  find(word: string): number | undefined {
    const term = this.#lowerBound(word);
    return this.lengthOf(term) === word.length && this.#startsWith(term, word) ? term : undefined;
  }

  /** The terms that begin with the word: the first, and the one after the last. */
  beginningWith(word: string): { from: number; to: number } {
    const from = this.#lowerBound(word);
    let to = from;
    while (this.#startsWith(to, word)) to += 1;
    return { from, to };
  }

  /** Terms that the word may be a misspelling of, with the number of errors; yields in between, too. */
  *similarTo(word: string): Generator<{ term: number; errors: number } | undefined> {
    const most = mostErrors(word.length);
    if (most === 0) return;
    const letters = lettersOf(word);
    for (let from = 0; from < this.#letters.length; from += slice) {
      yield;
      for (const term of this.#likely(word.length, letters, most, from)) {
        const errors = errorsBetween(word, this.#textOf(term), most);
        if (errors <= most) yield { term, errors };
      }
    }
  }

  /** Terms of a slice that have nearly the length and the letters. */
  #likely(length: number, letters: number, most: number, from: number): number[] {
    const [starts, allLetters] = [this.#starts, this.#letters];
    const found: number[] = [];
    const to = Math.min(from + slice, allLetters.length);
    for (let term = from; term < to; term += 1) {
      // A wrong character changes two letters at most.
      if (bitsIn(letters ^ (allLetters[term] ?? 0)) > 2 * most) continue;
      const other = (starts[term + 1] ?? 0) - (starts[term] ?? 0);
      if (Math.abs(other - length) <= most) found.push(term);
    }
    return found;
  }

  #textOf(term: number): string {
    return String.fromCharCode(...this.#text.subarray(this.#starts[term], this.#starts[term + 1]));
  }

  #startsWith(term: number, word: string): boolean {
    if (this.lengthOf(term) < word.length) return false;
    const start = this.#starts[term] ?? 0;
    for (let i = 0; i < word.length; i += 1)
      if (this.#text[start + i] !== word.charCodeAt(i)) return false;
    return true;
  }

  /** The first term that is not before the word. */
  #lowerBound(word: string): number {
    let [from, to] = [0, this.#letters.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#textOf(middle) < word) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

/** A character as a bit of 32, so that those of a word are a set. */
export const letterBit = (unit: number): number => 1 << (unit & 31);

function lettersOf(word: string): number {
  let letters = 0;
  for (let i = 0; i < word.length; i += 1) letters |= letterBit(word.charCodeAt(i));
  return letters;
}

/** Number of bits that are set. */
function bitsIn(value: number): number {
  const pairs = value - ((value >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Levenshtein's distance, except that two swapped neighbours are one error. More than `most` is only known to be more. */
function errorsBetween(word: string, other: string, most: number): number {
  const distance = leven(word, other, { maxDistance: Math.max(most, 2) + 1 });
  if (distance !== 2 || word.length !== other.length) return distance;
  let i = 0;
  while (word[i] === other[i]) i += 1;
  return word[i] === other[i + 1] && word[i + 1] === other[i] ? 1 : 2;
}
