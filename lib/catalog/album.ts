import {
  genresOf,
  idOf,
  isMarked,
  scoreOf,
  textOf,
  yearOf,
  type Column,
  type Score,
} from './columns.ts';

/** One album as the API returns it. Absent values are `null`, never `NaN`. */
export interface Album {
  /** The public id: the metadata's `local_id`. Not the row in the index. */
  readonly id: number;
  readonly artist: string | null;
  readonly albumName: string | null;
  /** As reviewed, e.g. `Electronic / Rock`. */
  readonly genre: string | null;
  readonly releaseYear: number | null;
  /** Pitchfork score, 0.0 to 10.0; 0 is a real score. */
  readonly score: number | null;
  readonly bestNewMusic: boolean;
  /** Who published the record. */
  readonly label: string | null;
  readonly reviewer: string | null;
  /** Where the cover was downloaded from. */
  readonly coverUrl: string | null;
  /** Name of the cover's file in the list. */
  readonly filename: string | null;
}

/** Defects in a row that do not keep it from being read. */
export const dataIssues = [
  'missing_artist',
  'numeric_artist',
  'missing_title',
  'sentence_as_genre',
  'missing_score',
  'implausible_value',
  'garbled_text',
] as const;
export type DataIssue = (typeof dataIssues)[number];

/** `Electronic / Rock` is both; `Pop/R&B` is one genre. */
export const genresIn = (genre: string): string[] => genre.split(' / ');

/**
 * Reads one element of the metadata file.
 *
 * @param columns the names of the list's columns
 * @returns the album, its score as written (`undefined` if not recognised), and the defects found; `null` if the element
 *   is not an album (no integer id of 0 or more)
 */
export function readAlbum(
  row: unknown,
  columns: Partial<Record<Column, string>>,
): {
  album: Omit<Album, 'score'>;
  score: Score | null | undefined;
  issues: DataIssue[];
} | null {
  if (typeof row !== 'object' || row === null) return null;
  const field = (column: Column): unknown => {
    const name = columns[column];
    return name === undefined ? undefined : (row as Record<string, unknown>)[name];
  };
  const id = idOf(field('id'));
  if (id === null) return null;

  const issues: DataIssue[] = [];
  const artist = textOf(field('artist'));
  if (artist === null) issues.push('missing_artist');
  else if (typeof field('artist') === 'number') issues.push('numeric_artist');
  const albumName = textOf(field('albumName'));
  if (albumName === null) issues.push('missing_title');
  if (isGarbled(artist) || isGarbled(albumName)) issues.push('garbled_text');

  const genres = genresOf(field('genre'));
  if (!genres) issues.push('sentence_as_genre');
  const score = scoreOf(field('score'));
  if (score === undefined) issues.push('implausible_value');
  if (score === null) issues.push('missing_score');
  const year = yearOf(field('releaseYear'));
  if (year === undefined) issues.push('implausible_value');

  const album = {
    id,
    artist,
    albumName,
    genre: genres && genres.length > 0 ? genres.join(' / ') : null,
    releaseYear: year ?? null,
    bestNewMusic: isMarked(field('bestNewMusic')),
    label: textOf(field('label')),
    reviewer: textOf(field('reviewer')),
    coverUrl: textOf(field('coverUrl')),
    filename: textOf(field('filename')),
  };
  return { album, score, issues };
}

/** UTF-8 that was decoded as Latin-1 (`Ã¶` for `ö`, `â€™` for `’`), and U+FFFD, which replaces lost characters. */
const isGarbled = (text: string | null): boolean =>
  text !== null && /[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\ufffd/.test(text);
