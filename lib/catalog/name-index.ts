import leven from 'leven';
import { inTurns } from '../concurrency/in-turns.ts';
import type { Album } from './album.ts';
import { nameWords } from './name-words.ts';

export interface NameSearchOptions {
  /** Maximum number of rows. */
  limit: number;
  /** Whether an album may be found. Default: all. */
  matches?: (album: Album) => boolean;
  /** Whether every word must occur. Default: two of three are enough if no album has all. */
  everyWord?: boolean;
}

/** Longest query in characters, and most words of it; the rest is ignored. */
const [longestQuery, mostWords] = [200, 8];

/** Share of the words that an album must have if none has all. */
const shareOfWords = 2 / 3;

/** How much a word counts in an artist, in a title, and in label, year and genre. */
const fieldWeights = [4, 3, 1] as const;
const fieldCount = fieldWeights.length;

/** What is counted of each row for its rank: words in the artist, in the title, and in either. */
const exactCount = 3;

/** How much a word counts that begins with the query's, times the share of it that was typed. */
const prefixQuality = 0.5;

/** Beginnings of words shorter than this, in characters, are looked for in artists and titles only: `20` begins most years. */
const shortPrefix = 3;

/** Wrong characters that are forgiven in a word; two swapped neighbours are one. */
const mostErrors = ({ length }: string) => (length < 4 || length > 24 ? 0 : length < 6 ? 1 : 2);

/** A term that stands for a word of a query. */
interface Expansion {
  term: number;
  /** How much it counts. */
  quality: number;
  /** Whether it is the same word. */
  exact: boolean;
}

/**
 * Finds albums by artist, title, label, year and genre. Ignores case, accents and punctuation, completes the last word,
 * and forgives typing errors if nothing is found as written.
 *
 * An inverted index: for each word of the catalog ("term"), the rows and fields that contain it.
 */
export class NameIndex {
  readonly #albums: readonly Album[];
  /** Sorted. */
  readonly #terms: readonly string[];
  /** The letters of each term ({@link lettersOf}). */
  readonly #letters: Uint32Array;
  /** Position of each term's first entry; one more for the end of the last. */
  readonly #starts: Uint32Array;
  /** 4 × row + field, term by term. */
  readonly #entries: Uint32Array;
  /** Number of telling words in each field of each row. */
  readonly #lengths: Uint8Array;
  /** Of each row during a search: what the current word adds, and the sum of the words before. */
  readonly #gain: Float32Array;
  readonly #sum: Float32Array;
  /** Likewise: the fields that have the very word, as bits. */
  readonly #fields: Uint8Array;
  /** Likewise: how many words occur, and how many exactly so in the artist, in the title, and in either. */
  readonly #count: Uint8Array;
  readonly #exact: Uint8Array;

  private constructor(
    albums: readonly Album[],
    terms: readonly string[],
    parts: { starts: Uint32Array; entries: Uint32Array; lengths: Uint8Array },
  ) {
    this.#albums = albums;
    this.#terms = terms;
    this.#letters = Uint32Array.from(terms, lettersOf);
    this.#starts = parts.starts;
    this.#entries = parts.entries;
    this.#lengths = parts.lengths;
    this.#gain = new Float32Array(albums.length);
    this.#sum = new Float32Array(albums.length);
    this.#fields = new Uint8Array(albums.length);
    this.#count = new Uint8Array(albums.length);
    this.#exact = new Uint8Array(exactCount * albums.length);
  }

  /** Works in slices between which requests are answered, but for sorting the terms. */
  static async build(albums: readonly Album[]): Promise<NameIndex> {
    const ids = new Map<string, number>();
    const read = nameReader(ids);
    const termOf: number[] = [];
    const entryOf: number[] = [];
    const lengths = new Uint8Array(fieldCount * albums.length);
    await inTurns(albums, ({ artist, albumName, label, releaseYear, genre }, row) => {
      const about = [label, releaseYear === null ? null : String(releaseYear), genre];
      for (const [field, texts] of [[artist], [albumName], about].entries())
        for (const text of texts) {
          if (text === null) continue;
          const { terms, length } = read(text);
          const at = fieldCount * row + field;
          lengths[at] = Math.min((lengths[at] ?? 0) + length, 255);
          for (const term of terms) {
            termOf.push(term);
            entryOf.push(4 * row + field);
          }
        }
    });
    const sorted = [...ids.keys()].sort();
    const placeOf = new Uint32Array(sorted.length);
    for (const [place, term] of sorted.entries()) placeOf[ids.get(term) ?? 0] = place;
    // A counting sort of the entries by term.
    const starts = new Uint32Array(sorted.length + 1);
    for (const term of termOf) {
      const place = (placeOf[term] ?? 0) + 1;
      starts[place] = (starts[place] ?? 0) + 1;
    }
    for (let place = 1; place < starts.length; place += 1)
      starts[place] = (starts[place] ?? 0) + (starts[place - 1] ?? 0);
    const next = starts.slice();
    const entries = new Uint32Array(entryOf.length);
    for (const [i, term] of termOf.entries()) {
      const place = placeOf[term] ?? 0;
      const at = next[place] ?? 0;
      next[place] = at + 1;
      entries[at] = entryOf[i] ?? 0;
    }
    return new NameIndex(albums, sorted, { starts, entries, lengths });
  }

  /**
   * @param query any text
   * @returns rows, best first: artist and title, then artist, then title as given, then the more distinctive match, then
   *   the better reviewed album
   */
  search(
    query: string,
    { limit, matches = () => true, everyWord = false }: NameSearchOptions,
  ): number[] {
    const words = nameWords(query.slice(0, longestQuery));
    // `AC/DC` is looked for as two words and as one.
    const apart = words.flatMap(([parts = []]) => parts);
    const joined = words.flatMap((spellings) => spellings.at(-1) ?? []);
    const spellings = joined.length === apart.length ? [apart] : [apart, joined];
    const find = (fuzzy: boolean, share: number) => {
      const best = new Best(limit, this.#albums, matches);
      for (const spelling of spellings)
        this.#rank(spelling.slice(0, mostWords), { fuzzy, share, best });
      return best.rows;
    };
    const found = find(false, 1);
    if (found.length > 0) return found;
    const similar = find(true, 1);
    return similar.length > 0 || everyWord || words.length < 2 ? similar : find(true, shareOfWords);
  }

  /** Passes the albums that have a share of the words to `best`. */
  #rank(
    words: readonly string[],
    { fuzzy, share, best }: { fuzzy: boolean; share: number; best: Best },
  ): void {
    const telling = tellingWords(words);
    const seen: number[] = [];
    for (const [i, word] of words.entries()) {
      const touched: number[] = [];
      for (const found of this.#expand(word, i === words.length - 1, fuzzy)) {
        const brief = !found.exact && word.length < shortPrefix;
        this.#addGain(found, brief ? 2 : fieldCount, touched);
      }
      const counts = telling.includes(word);
      for (const row of touched) {
        if (this.#count[row] === 0) seen.push(row);
        this.#count[row] = (this.#count[row] ?? 0) + 1;
        this.#sum[row] = (this.#sum[row] ?? 0) + (this.#gain[row] ?? 0);
        const fields = this.#fields[row] ?? 0;
        this.#gain[row] = this.#fields[row] = 0;
        if (!counts) continue;
        const at = exactCount * row;
        this.#exact[at] = (this.#exact[at] ?? 0) + (fields & 1);
        this.#exact[at + 1] = (this.#exact[at + 1] ?? 0) + (fields >> 1);
        this.#exact[at + 2] = (this.#exact[at + 2] ?? 0) + (fields === 0 ? 0 : 1);
      }
    }
    const least = Math.ceil(share * words.length);
    for (const row of seen) {
      if ((this.#count[row] ?? 0) >= least)
        best.add({ row, rank: this.#rankOf(row, telling.length), score: this.#sum[row] ?? 0 });
      this.#count[row] = this.#sum[row] = 0;
      this.#exact.fill(0, exactCount * row, exactCount * (row + 1));
    }
  }

  /** Logarithm of one in how many albums has the term (inverse document frequency). */
  #rarity(term: number): number {
    const [start = 0, end = 0] = this.#starts.subarray(term, term + 2);
    return Math.log(1 + this.#albums.length / (end - start));
  }

  /** The terms that stand for a word of the query, with how much they count. */
  *#expand(word: string, prefix: boolean, fuzzy: boolean): Generator<Expansion> {
    const terms = this.#terms;
    let term = lowerBound(terms, word);
    if (terms[term] === word) yield { term, quality: this.#rarity(term++), exact: true };
    if (prefix)
      for (let one = terms[term]; one?.startsWith(word); one = terms[++term]) {
        const share = word.length / one.length;
        yield { term, quality: prefixQuality * share * this.#rarity(term), exact: false };
      }
    const most = fuzzy ? mostErrors(word) : 0;
    if (most === 0) return;
    const letters = lettersOf(word);
    for (const [i, one] of terms.entries()) {
      if (Math.abs(one.length - word.length) > most) continue;
      if (bitsIn(letters ^ (this.#letters[i] ?? 0)) > 2 * most) continue; // a wrong character changes two at most
      const errors = errorsBetween(word, one, most);
      // Not by rarity: the common word was meant more often.
      if (errors <= most) yield { term: i, quality: 1 / (1 + errors) ** 2, exact: false };
    }
  }

  /** Raises the gain of each row that has the term in its first fields, and adds those to `touched` that had none. */
  #addGain({ term, quality, exact }: Expansion, fields: number, touched: number[]): void {
    const [start = 0, end = 0] = this.#starts.subarray(term, term + 2);
    for (let at = start; at < end; at += 1) {
      const entry = this.#entries[at] ?? 0;
      const row = entry >>> 2;
      const field = entry & 3;
      if (field >= fields) continue;
      const length = this.#lengths[fieldCount * row + field] ?? 0;
      const gain = ((fieldWeights[field] ?? 0) * quality) / (2 + length);
      const before = this.#gain[row] ?? 0;
      if (before === 0) touched.push(row);
      if (!exact) {
        if (gain > before) this.#gain[row] = gain;
      } else {
        this.#gain[row] = before + gain;
        if (field < 2) this.#fields[row] = (this.#fields[row] ?? 0) | (1 << field);
      }
    }
  }

  /** What the query is: 3 the row's artist and title, 2 its artist, 1 its title, 0 neither. @param words of the query */
  #rankOf(row: number, words: number): number {
    const [inArtist = 0, inTitle = 0, inEither = 0] = this.#exact.subarray(exactCount * row);
    const [ofArtist = 0, ofTitle = 0] = this.#lengths.subarray(fieldCount * row);
    if (inEither === words && ofArtist + ofTitle === words && inArtist >= ofArtist) return 3;
    if (inArtist === words && ofArtist === words) return 2;
    return inTitle === words && ofTitle === words ? 1 : 0;
  }
}

/** Reads names: the ids of a name's terms, in all spellings, and its number of telling words. Remembers them. */
function nameReader(ids: Map<string, number>) {
  const known = new Map<string, { terms: readonly number[]; length: number }>();
  const idOf = (term: string) => {
    const id = ids.get(term) ?? ids.size;
    ids.set(term, id);
    return id;
  };
  return (text: string) => {
    const before = known.get(text);
    if (before) return before;
    const words = nameWords(text);
    const read = {
      terms: [...new Set(words.flat(2))].map(idOf),
      length: tellingWords(words.flatMap(([parts = []]) => parts)).length,
    };
    known.set(text, read);
    return read;
  };
}

/** The words without `the`, if there are others. */
const tellingWords = (words: readonly string[]): readonly string[] => {
  const others = words.filter((word) => word !== 'the');
  return others.length > 0 ? others : words;
};

/** Position of the first term that is not before the word. */
function lowerBound(terms: readonly string[], word: string): number {
  let [from, to] = [0, terms.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((terms[middle] ?? '') < word) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The set of a word's characters, in 32 bits. */
function lettersOf(word: string): number {
  let letters = 0;
  for (let i = 0; i < word.length; i += 1) letters |= 1 << (word.charCodeAt(i) & 31);
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

interface Ranked {
  row: number;
  rank: number;
  score: number;
}

/** The best albums so far. */
class Best {
  readonly #limit: number;
  readonly #albums: readonly Album[];
  readonly #matches: (album: Album) => boolean;
  readonly #ranked: Ranked[] = [];

  constructor(limit: number, albums: readonly Album[], matches: (album: Album) => boolean) {
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
    const album = this.#albums[one.row];
    if (!album || !this.#matches(album)) return;
    const same = ranked.findIndex(({ row }) => row === one.row); // in another spelling
    const before = ranked[same];
    if (before && this.#order(one, before) >= 0) return;
    if (before) ranked.splice(same, 1);
    const at = ranked.findIndex((other) => this.#order(one, other) < 0);
    ranked.splice(at < 0 ? ranked.length : at, 0, one);
    if (ranked.length > this.#limit) ranked.pop();
  }

  #order(a: Ranked, b: Ranked): number {
    const reviewed = ({ row }: Ranked) => this.#albums[row]?.score ?? 0;
    return b.rank - a.rank || b.score - a.score || reviewed(b) - reviewed(a) || a.row - b.row;
  }
}
