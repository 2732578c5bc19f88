import pLimit from 'p-limit';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inTurns, runInTurns } from '../concurrency/in-turns.ts';
import { isPlain, nameWords, tellingWords } from './name-words.ts';
import { PostingsBuilder, type Entries, type Postings } from './postings.ts';
import { TermTable } from './term-table.ts';
import type { Terms } from './terms.ts';

/** What is searched, by row: 0 to `size` − 1. */
export interface NamedAlbums {
  readonly size: number;
  artist(row: number): string | null;
  albumName(row: number): string | null;
  label(row: number): string | null;
  genre(row: number): string | null;
  releaseYear(row: number): number | null;
  score(row: number): number | null;
}

export interface NameSearchOptions {
  /** Maximum number of rows. */
  limit: number;
  /** Whether an album may be found. Default: all. */
  matches?: (row: number) => boolean;
  /** Whether every word must occur. Default: two of three are enough if no album has all. */
  everyWord?: boolean;
  /** Aborted when nobody waits for the rows any more. */
  signal?: AbortSignal | undefined;
}

/** Longest query in characters, and most words of it; the rest is ignored. */
export const [longestQuery, mostWords] = [200, 8];

/** Share of the words that an album must have if none has all. */
const shareOfWords = 2 / 3;

/** How much a word counts in an artist, in a title, and in label, year and genre. */
const fieldWeights = [4, 3, 1] as const;
const fieldCount = fieldWeights.length;

/** How much a word counts that begins with the query's, times the share of it that was typed. */
const prefixQuality = 0.5;

/** Beginnings of words shorter than this, in characters, are looked for in artists and titles only: `20` begins most years. */
const shortPrefix = 3;

/** Labels and genres with punctuation that are remembered while the index is built. */
const mostKnown = 4096;

/**
 * Entries of a word that are read to find albums, and steps of how much its continuations count: of `a` in a million
 * albums, those that count most are read. At 25,790 albums no beginning has as many.
 */
const [mostEntries, qualitySteps] = [200_000, 256];

/** Entries, terms or albums that are gone through before the time is looked at: about 0.1 ms. */
const slice = 4096;

/** A term that stands for a word of a query. */
interface Expansion {
  term: number;
  /** How much it counts. */
  quality: number;
  /** Whether it is the same word. */
  exact: boolean;
}

/** A word of a query. */
interface QueryWord {
  /** Its position. */
  at: number;
  expansions: Expansion[];
  /** Number of their entries. */
  entries: number;
  /** Whether it is too short for its continuations to be looked for in all fields. */
  brief: boolean;
  /** Whether an album can be named so: `the` does not count beside other words. */
  telling: boolean;
}

/**
 * Finds albums by artist, title, label, year and genre. Ignores case, accents and punctuation, completes the last word,
 * and forgives typing errors if nothing is found as written.
 *
 * An inverted index: for each word of the catalog ("term"), the rows and fields that contain it. Works in slices between
 * which the event loop runs.
 */
export class NameIndex {
  readonly #albums: NamedAlbums;
  readonly #terms: Terms;
  /** 4 × row + field, of each term. */
  readonly #postings: Postings;
  /** Number of telling words in each field of each row. */
  readonly #lengths: Uint8Array;
  /** During a search: which candidate each row is, plus one; 0 if none. */
  readonly #candidateOf: Uint32Array;
  /** One search at a time. */
  readonly #turn = pLimit(1);

  private constructor(
    albums: NamedAlbums,
    parts: { terms: Terms; postings: Postings; lengths: Uint8Array },
  ) {
    this.#albums = albums;
    this.#terms = parts.terms;
    this.#postings = parts.postings;
    this.#lengths = parts.lengths;
    this.#candidateOf = new Uint32Array(albums.size);
  }

  static async build(albums: NamedAlbums): Promise<NameIndex> {
    const table = new TermTable();
    const builder = new PostingsBuilder();
    const lengths = new Uint8Array(fieldCount * albums.size);
    const readName = nameReader((text, from, to) => {
      builder.add(table.numberOf(text, from, to));
    });
    const read = (row: number, field: number, name: string | null) => {
      if (name === null) return;
      builder.startText(4 * row + field);
      const at = fieldCount * row + field;
      lengths[at] = Math.min((lengths[at] ?? 0) + readName(name, field === 2), 255);
    };
    await inTurns(lengths.subarray(0, albums.size).keys(), (row) => {
      const year = albums.releaseYear(row);
      read(row, 0, albums.artist(row));
      read(row, 1, albums.albumName(row));
      read(row, 2, albums.label(row));
      read(row, 2, year === null ? null : String(year));
      read(row, 2, albums.genre(row));
    });
    const { terms, placeOf } = await runInTurns(table.sort());
    const postings = await runInTurns(builder.build(placeOf));
    return new NameIndex(albums, { terms, postings, lengths });
  }

  /**
   * @param query any text
   * @returns rows, best first: artist and title, then artist, then title as given, then the more distinctive match, then
   *   the better reviewed album
   * @throws the signal's reason
   */
  search(query: string, options: NameSearchOptions): Promise<readonly number[]> {
    const { signal } = options;
    return this.#turn(async () => {
      signal?.throwIfAborted();
      const rows = await runInTurns(this.#find(query, options), signal);
      // Many short searches one after the other must not hold the event loop either.
      if (this.#turn.pendingCount > 0) await nextTurn();
      return rows;
    });
  }

  *#find(
    query: string,
    { limit, matches = () => true, everyWord = false }: NameSearchOptions,
  ): Generator<undefined, readonly number[]> {
    const words = nameWords(query.slice(0, longestQuery));
    // `AC/DC` is looked for as two words and as one.
    const apart = words.flatMap(([parts = []]) => parts);
    const joined = words.flatMap((spellings) => spellings.at(-1) ?? []);
    const spellings = joined.length === apart.length ? [apart] : [apart, joined];
    for (const fuzzy of [false, true]) {
      const expanded: QueryWord[][] = [];
      for (const spelling of spellings)
        expanded.push(yield* this.#expand(spelling.slice(0, mostWords), fuzzy));
      for (const share of fuzzy && !everyWord && words.length > 1 ? [1, shareOfWords] : [1]) {
        const best = new Best(limit, this.#albums, matches);
        for (const one of expanded) yield* this.#rank(one, Math.ceil(share * one.length), best);
        if (best.rows.length > 0) return best.rows;
      }
    }
    return [];
  }

  /** Each word with the terms that stand for it. */
  *#expand(words: readonly string[], fuzzy: boolean): Generator<undefined, QueryWord[]> {
    const telling = tellingWords(words);
    const expanded: QueryWord[] = [];
    for (const [at, word] of words.entries()) {
      const expansions: Expansion[] = [];
      const same = this.#terms.find(word);
      if (same !== undefined)
        expansions.push({ term: same, quality: this.#rarity(same), exact: true });
      if (at === words.length - 1) {
        const { from, to } = this.#terms.beginningWith(word);
        for (let term = from; term < to; term += 1) {
          if (term === same) continue;
          const share = word.length / this.#terms.lengthOf(term);
          const quality = prefixQuality * share * this.#rarity(term);
          expansions.push({ term, quality, exact: false });
          if (term % 1024 === 0) yield;
        }
      }
      for (const similar of fuzzy ? this.#terms.similarTo(word) : [])
        if (similar) {
          // Not by rarity: the common word was meant more often.
          const quality = 1 / (1 + similar.errors) ** 2;
          expansions.push({ term: similar.term, quality, exact: false });
        } else yield;
      let entries = 0;
      for (const { term } of expansions) entries += this.#postings.count(term);
      const brief = word.length < shortPrefix;
      expanded.push({ at, expansions, entries, brief, telling: telling.includes(word) });
    }
    return expanded;
  }

  /** Logarithm of one in how many albums has the term (inverse document frequency). */
  #rarity(term: number): number {
    return Math.log(1 + this.#albums.size / this.#postings.count(term));
  }

  /** Passes the albums that have at least so many of the words to `best`. */
  *#rank(words: readonly QueryWord[], least: number, best: Best): Generator<undefined> {
    const rarestFirst = words.toSorted((a, b) => a.entries - b.entries);
    // An album with so many of the words has one of the first of these; the others need not find any more.
    const finding = rarestFirst.slice(0, words.length - least + 1);
    const entries = finding.reduce((sum, word) => sum + word.entries, 0);
    const found = new Candidates(Math.min(entries, this.#albums.size), words.length);
    let cleared = 0;
    try {
      for (const word of rarestFirst) {
        const isFinding = finding.includes(word);
        if (!isFinding && found.count === 0) break;
        yield* this.#collect(word, found, isFinding);
      }
      for (; cleared < found.count; cleared += 1) {
        const ranked = this.#ranked(cleared, found, words, least);
        if (ranked) best.add(ranked);
        this.#candidateOf[found.rows[cleared] ?? 0] = 0;
        if (cleared % slice === 0) yield;
      }
    } finally {
      // All that are left, if the search was aborted.
      for (; cleared < found.count; cleared += 1) this.#candidateOf[found.rows[cleared] ?? 0] = 0;
    }
  }

  /** A word's expansions, or if they have too many entries those that count most, and the word itself. */
  *#bestOf({ expansions, entries }: QueryWord): Generator<undefined, readonly Expansion[]> {
    if (entries <= mostEntries) return expansions;
    const most = prefixQuality * Math.log(1 + this.#albums.size);
    const stepOf = ({ quality }: Expansion) =>
      Math.min(qualitySteps - 1, Math.floor((qualitySteps * quality) / most));
    const entriesAt = new Float64Array(qualitySteps);
    for (const [i, one] of expansions.entries()) {
      const step = stepOf(one);
      entriesAt[step] = (entriesAt[step] ?? 0) + this.#postings.count(one.term);
      if (i % slice === 0) yield;
    }
    let least = qualitySteps;
    for (let left = mostEntries; left > 0 && least > 0;) left -= entriesAt[--least] ?? 0;
    yield;
    return expansions.filter((one) => one.exact || stepOf(one) >= least);
  }

  /** Notes what a word adds to each candidate. @param finding whether other albums that have it become candidates */
  *#collect(word: QueryWord, found: Candidates, finding: boolean): Generator<undefined> {
    let read = 0;
    for (const expansion of finding ? yield* this.#bestOf(word) : word.expansions) {
      const entries = this.#postings.entries(expansion.term);
      while (this.#readSome(entries, { word, expansion, found, finding })) yield;
      read += 1 + this.#postings.count(expansion.term);
      if (read < slice) continue;
      read = 0;
      yield;
    }
  }

  /** Reads a slice of the entries of an expansion. @returns whether there are more */
  #readSome(entries: Entries, { word, expansion, found, finding }: Reading): boolean {
    const { quality, exact } = expansion;
    const fields = word.brief && !exact ? 2 : fieldCount;
    for (let left = slice; left > 0; left -= 1) {
      if (entries.done) return false;
      const entry = entries.next();
      const row = entry >>> 2;
      const field = entry & 3;
      if (field >= fields) continue;
      let candidate = (this.#candidateOf[row] ?? 0) - 1;
      if (candidate < 0) {
        if (!finding) continue;
        candidate = found.add(row);
        this.#candidateOf[row] = candidate + 1;
      }
      const length = this.#lengths[fieldCount * row + field] ?? 0;
      const gain = ((fieldWeights[field] ?? 0) * quality) / (2 + length);
      found.gain(candidate, word.at, gain, exact ? field : undefined);
    }
    return true;
  }

  /** A candidate with its rank, unless it has too few of the words. */
  #ranked(
    one: number,
    found: Candidates,
    words: readonly QueryWord[],
    least: number,
  ): Ranked | undefined {
    let [has, telling, score] = [0, 0, 0];
    let [inArtist, inTitle, inEither] = [0, 0, 0];
    for (const word of words) {
      const gain = found.gainOf(one, word.at);
      const fields = found.fieldsOf(one, word.at);
      if (word.telling) telling += 1;
      if (gain === 0) continue;
      has += 1;
      score = Math.fround(score + gain);
      if (!word.telling || fields === 0) continue;
      inArtist += fields & 1;
      inTitle += fields >> 1;
      inEither += 1;
    }
    if (has < least) return undefined;
    const row = found.rows[one] ?? 0;
    const ofArtist = this.#lengths[fieldCount * row] ?? 0;
    const ofTitle = this.#lengths[fieldCount * row + 1] ?? 0;
    let rank = 0;
    if (inEither === telling && ofArtist + ofTitle === telling && inArtist >= ofArtist) rank = 3;
    else if (inArtist === telling && ofArtist === telling) rank = 2;
    else if (inTitle === telling && ofTitle === telling) rank = 1;
    return { row, rank, score };
  }
}

interface Reading {
  word: QueryWord;
  expansion: Expansion;
  found: Candidates;
  finding: boolean;
}

/** A function that passes on the words of a name in all spellings, and returns the number of telling words. */
function nameReader(found: (text: string, from: number, to: number) => void) {
  /** Spellings of recurring names with punctuation, which take longest. */
  const known = new Map<string, string[][][]>();
  const spellingsOf = (name: string) => {
    let spellings = known.get(name);
    if (spellings) return spellings;
    spellings = nameWords(name);
    if (known.size === mostKnown) known.clear();
    known.set(name, spellings);
    return spellings;
  };
  return (name: string, recurs: boolean): number => {
    let [words, the] = [0, 0];
    if (isPlain(name)) {
      // Most names: the same without a string for each word.
      for (let from = 0, to = 0; from < name.length; from = to + 1) {
        to = name.indexOf(' ', from);
        if (to < 0) to = name.length;
        if (to === from) continue;
        found(name, from, to);
        words += 1;
        if (to - from === 3 && name.slice(from, to).toLowerCase() === 'the') the += 1;
      }
    } else
      for (const [parts = [], ...others] of recurs ? spellingsOf(name) : nameWords(name)) {
        for (const word of parts) {
          found(word, 0, word.length);
          words += 1;
          if (word === 'the') the += 1;
        }
        for (const [word = ''] of others) found(word, 0, word.length);
      }
    return words > the ? words - the : words;
  };
}

/** Albums that have a word of the query, and what each word adds to their score. */
class Candidates {
  readonly rows: Uint32Array;
  count = 0;
  readonly #words: number;
  readonly #gains: Float32Array;
  /** The fields that have the very word, as bits: 1 the artist, 2 the title. */
  readonly #fields: Uint8Array;

  constructor(most: number, words: number) {
    this.rows = new Uint32Array(most);
    this.#words = words;
    this.#gains = new Float32Array(most * words);
    this.#fields = new Uint8Array(most * words);
  }

  add(row: number): number {
    this.rows[this.count] = row;
    return this.count++;
  }

  /** @param field that has the very word; `undefined` if it has a similar one, of which only the best counts */
  gain(candidate: number, word: number, gain: number, field: number | undefined): void {
    const at = this.#words * candidate + word;
    const before = this.#gains[at] ?? 0;
    if (field === undefined) {
      if (gain > before) this.#gains[at] = gain;
      return;
    }
    this.#gains[at] = before + gain;
    if (field < 2) this.#fields[at] = (this.#fields[at] ?? 0) | (1 << field);
  }

  gainOf(candidate: number, word: number): number {
    return this.#gains[this.#words * candidate + word] ?? 0;
  }

  fieldsOf(candidate: number, word: number): number {
    return this.#fields[this.#words * candidate + word] ?? 0;
  }
}

interface Ranked {
  row: number;
  rank: number;
  score: number;
}

/** The best albums so far. */
class Best {
  readonly #limit: number;
  readonly #albums: NamedAlbums;
  readonly #matches: (row: number) => boolean;
  readonly #ranked: Ranked[] = [];

  constructor(limit: number, albums: NamedAlbums, matches: (row: number) => boolean) {
    this.#limit = limit;
    this.#albums = albums;
    this.#matches = matches;
  }

  get rows(): number[] {
    return this.#ranked.map(({ row }) => row);
  }

  add(one: Ranked): void {
    const ranked = this.#ranked;
    const last = ranked.at(-1);
    if (last && ranked.length >= this.#limit && this.#order(one, last) >= 0) return;
    if (!this.#matches(one.row)) return;
    const same = ranked.findIndex(({ row }) => row === one.row); // in another spelling
    const before = ranked[same];
    if (before && this.#order(one, before) >= 0) return;
    if (before) ranked.splice(same, 1);
    const at = ranked.findIndex((other) => this.#order(one, other) < 0);
    ranked.splice(at < 0 ? ranked.length : at, 0, one);
    if (ranked.length > this.#limit) ranked.pop();
  }

  #order(a: Ranked, b: Ranked): number {
    const difference = b.rank - a.rank || b.score - a.score;
    if (difference !== 0) return difference;
    const reviewed = (this.#albums.score(b.row) ?? 0) - (this.#albums.score(a.row) ?? 0);
    return reviewed || a.row - b.row;
  }
}
