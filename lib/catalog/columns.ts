/** Known names of each column, the usual one first; case and punctuation are ignored. */
export const columns = {
  id: ['local_id', 'id', 'album_id'],
  filename: ['filename', 'file_name', 'file', 'cover_file'],
  artist: ['artist', 'artists', 'artist_name', 'band', 'performer'],
  albumName: ['album_name', 'album', 'album_title', 'title', 'name', 'record'],
  genre: ['genre', 'genres', 'style', 'styles'],
  label: ['label', 'labels', 'record_label'],
  releaseYear: [
    'release_year',
    'year',
    'year_released',
    'year_of_release',
    'released',
    'release_date',
    'date',
  ],
  score: ['score', 'rating', 'pitchfork_score', 'review_score', 'album_score'],
  bestNewMusic: ['best_new_music', 'bnm', 'best', 'is_best_new_music'],
  reviewer: ['reviewer_name', 'reviewer', 'author', 'critic'],
  coverUrl: [
    'cover_url',
    'cover',
    'cover_image_url',
    'cover_image',
    'cover_path',
    'image_url',
    'image',
    'artwork_url',
    'artwork',
  ],
} as const;

export type Column = keyof typeof columns;

/** Finds the name of each column among those of a list. */
export function findColumns(names: readonly string[]): Partial<Record<Column, string>> {
  const found: Partial<Record<Column, string>> = {};
  const plain = new Map([...names].reverse().map((name) => [plainName(name), name]));
  for (const [column, known] of Object.entries(columns) as [Column, readonly string[]][]) {
    const name = known.find((one) => plain.has(one));
    if (name !== undefined) found[column] = plain.get(name) ?? name;
  }
  return found;
}

const plainName = (name: string): string =>
  name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]/g, ' ')
    .trim()
    .replaceAll(/ {1,50}/g, '_');

/** Values that pandas' `read_csv` treats as missing (its `na_values`), except numbers. */
const missing = new Set([
  '',
  ...'#N/A,#N/A N/A,#NA,-NaN,-nan,<NA>,N/A,NA,NULL,NaN,None,n/a,nan,null,none'.split(','),
]);

/** Trimmed text; a number becomes its digits (pandas reads the band 311 as a number); `null` if missing. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') return null;
  const trimmed = value.trim();
  return missing.has(trimmed) ? null : trimmed;
}

/** An integer of 0 or more, as a number or as digits; `null` if it is not one. */
export function idOf(value: unknown): number | null {
  const id =
    typeof value === 'string' && /^\s*\d{1,15}(\.0)?\s*$/.test(value) ? Number(value) : value;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? id : null;
}

/** Least numbers taken for a Unix time in seconds (in 1970) and in milliseconds (in 1973), not for a year. */
const [leastSeconds, leastMilliseconds] = [1e7, 1e11];

/**
 * Parses a year: `1999`, `1999.0`, `"1999"`, `1999-03-02`, `03/02/1999`, `March 1999`, or a Unix time in seconds or
 * milliseconds.
 *
 * @returns `null` if missing, `undefined` if not recognised
 */
export function yearOf(value: unknown): number | null | undefined {
  const text = textOf(value);
  if (text === null) return null;
  const number = Number(text);
  if (Math.abs(number) >= leastSeconds) {
    const ms = Math.abs(number) >= leastMilliseconds ? number : 1000 * number;
    const year = new Date(ms).getUTCFullYear();
    return year >= 1000 && year <= 9999 ? year : undefined;
  }
  if (!Number.isNaN(number))
    return number >= 1000 && number <= 9999 ? Math.trunc(number) : undefined;
  const years = text.length > 40 ? null : text.match(/(?<!\d)[12]\d{3}(?!\d)/g);
  return years?.length === 1 ? Number(years[0]) : undefined;
}

/** A score as written: its value and its maximum; `of` is `undefined` if only the whole column shows the maximum. */
export interface Score {
  value: number;
  of: number | undefined;
}

/** Parses `8.1`, `"8,1"`, `8.1/10`, `81%`. @returns `null` if missing, `undefined` if not recognised */
export function scoreOf(value: unknown): Score | null | undefined {
  const text = textOf(value);
  if (text === null) return null;
  const [, amount = '', of, percent] =
    /^(\d{1,9}(?:[.,]\d{1,20})?)(?: ?\/ ?(\d{1,4})| ?(%))?$/.exec(text) ?? [];
  if (amount === '') return undefined;
  return {
    value: Number(amount.replace(',', '.')),
    of: percent === undefined ? (of === undefined ? undefined : Number(of)) : 100,
  };
}

/** Converts a score to the API's 0 to 10; `undefined` if out of range. @param of its maximum */
export function outOfTen(value: number, of: number): number | undefined {
  const score = of === 10 ? value : Math.round((1e6 * value) / of) / 1e5;
  return score >= 0 && score <= 10 ? score : undefined;
}

/** Finds the maximum of a column's plain scores: 100 if most of them are above 10, else 10. */
export class ScoreScale {
  #all = 0;
  #above = 0;

  add(score: Score | null | undefined): void {
    if (!score || score.of !== undefined) return;
    this.#all += 1;
    if (score.value > 10) this.#above += 1;
  }

  get maximum(): 10 | 100 {
    return this.#above > this.#all / 2 ? 100 : 10;
  }
}

/** Whether a flag is set: 1, true, yes, y or x. */
export const isMarked = (value: unknown): boolean =>
  value === true || /^(1|1\.0|true|yes|y|x)$/i.test(textOf(value) ?? '');

/** Maximum length of a genre: in the real data it is 12 characters (`Experimental`); a sentence is longer. */
const longestGenre = 30;
/** Maximum words per genre and genres per album in comma-separated lists: a sentence has more. */
const [mostWords, mostGenres] = [4, 10];

/**
 * Parses genres: `Electronic / Rock`, a list, or `Rock, Jazz`; `Pop/R&B` is one genre.
 *
 * @returns `undefined` if the value is a sentence
 */
export function genresOf(value: unknown): string[] | undefined {
  const parts = (Array.isArray(value) ? value : (textOf(value)?.split(' / ') ?? []))
    .map(textOf)
    .filter((part) => part !== null);
  const split = parts
    .flatMap((part) => part.split(/[,;|]/).map((one) => one.trim()))
    .filter(Boolean);
  const isList =
    split.length <= mostGenres && split.every((part) => part.split(/\s/).length <= mostWords);
  const genres = isList ? split : parts;
  if (genres.some((genre) => genre.length > longestGenre)) return undefined;
  return [...new Set(genres.filter((genre) => textOf(genre) !== null))];
}
