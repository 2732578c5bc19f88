import MiniSearch, { type Query, type SearchOptions } from 'minisearch';
import { inTurns } from '../concurrency/in-turns.ts';
import type { Album } from './album.ts';
import { nameKey, nameWords } from './name-words.ts';

export interface NameSearchOptions {
  /** Maximum number of rows. */
  limit: number;
  /** Whether an album may be found. Default: all. */
  matches?: (album: Album) => boolean;
  /** Whether every word must occur. Default: two of three are enough if no album has all. */
  everyWord?: boolean;
}

/** Words of a query beyond these are ignored: each is compared with all words of the catalog. */
const mostWords = 8;

/** Longest word, in characters, in which typing errors are looked for. */
const longestMisspelt = 24;

/** Share of the words that an album must have if none has all. */
const shareOfWords = 2 / 3;

/** Best candidates of the text search that are compared with the query as a whole. */
const compared = 1000;

/**
 * Finds albums by artist, title, label, year and genre. Ignores case, accents and punctuation, completes the last word,
 * and allows one wrong character in words of four, two in longer ones, if nothing is found as written.
 */
export class NameIndex {
  readonly #albums: readonly Album[];
  readonly #index: MiniSearch<Document>;

  private constructor(albums: readonly Album[], index: MiniSearch<Document>) {
    this.#albums = albums;
    this.#index = index;
  }

  /** Takes about 10 µs per album, in slices between which requests are answered. */
  static async build(albums: readonly Album[]): Promise<NameIndex> {
    const index = new MiniSearch<Document>({
      idField: 'row',
      fields: ['artist', 'title', 'about'],
      tokenize: (text) => nameWords(text).flat(2),
      processTerm: (term) => term,
      searchOptions: { boost: { artist: 4, title: 3 } },
    });
    await inTurns(albums, ({ artist, albumName, label, releaseYear, genre }, row) => {
      const about = [label, releaseYear, genre].filter((one) => one !== null).join(' ');
      index.add({ row, artist: artist ?? '', title: albumName ?? '', about });
    });
    return new NameIndex(albums, index);
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
    const words = nameWords(query).slice(0, mostWords);
    if (words.length === 0) return [];
    const filter = ({ id }: { id: number }) => matches(this.#at(id));
    const ask = (options: SearchOptions, combineWith: 'AND' | 'OR' = 'AND') =>
      this.#index.search(toQuery(words, options, combineWith), { filter });
    let found = ask({ prefix: true });
    if (found.length === 0) found = ask({ prefix: true, fuzzy });
    if (found.length === 0 && !everyWord && words.length > 1) {
      const least = Math.ceil(shareOfWords * words.length);
      found = ask({ fuzzy }, 'OR').filter(({ queryTerms }) => queryTerms.length >= least);
    }
    const key = nameKey(query);
    return found
      .slice(0, compared)
      .map(({ id, score }) => ({ id: id as number, score, rank: this.#rankOf(id as number, key) }))
      .sort(
        (a, b) =>
          b.rank - a.rank ||
          b.score - a.score ||
          (this.#at(b.id).score ?? 0) - (this.#at(a.id).score ?? 0) ||
          a.id - b.id,
      )
      .slice(0, limit)
      .map(({ id }) => id);
  }

  #at(row: number): Album {
    const album = this.#albums[row];
    if (!album) throw new RangeError(`row ${String(row)} of ${String(this.#albums.length)}`);
    return album;
  }

  /** How much of an album's name a query is: 3 artist and title, 2 artist, 1 title, 0 less. */
  #rankOf(row: number, key: string): number {
    const { artist, albumName } = this.#at(row);
    const [by, title] = [nameKey(artist ?? ''), nameKey(albumName ?? '')];
    if (key === `${by} ${title}` || key === `${title} ${by}`) return 3;
    return key === by ? 2 : key === title ? 1 : 0;
  }
}

interface Document {
  row: number;
  artist: string;
  title: string;
  /** Label, year and genre. */
  about: string;
}

const fuzzy = (term: string) =>
  term.length < 4 || term.length > longestMisspelt ? false : term.length < 5 ? 1 : 2;

/** Each word in one of its spellings; only the last word may be a prefix. */
function toQuery(
  words: readonly string[][][],
  { prefix = false, ...options }: SearchOptions,
  combineWith: 'AND' | 'OR',
): Query {
  return {
    combineWith,
    queries: words.map((spellings, i) => ({
      combineWith: 'OR',
      queries: spellings.map((parts) => ({
        ...options,
        combineWith: 'AND',
        queries: parts,
        prefix: prefix === true && i === words.length - 1,
      })),
    })),
  };
}
