import {
  genresIn,
  idOf,
  isMarked,
  outOfTen,
  scoreOf,
  textOf,
  yearOf,
  type Column,
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

/** A defect in a row that does not keep it from being read. */
export type DataIssue =
  | 'missing_artist'
  | 'numeric_artist'
  | 'missing_title'
  | 'sentence_as_genre'
  | 'missing_score'
  | 'implausible_value'
  | 'garbled_text';

/** `Electronic / Rock` is both; `Pop/R&B` is one genre. */
export const genresOf = (album: Album): string[] => album.genre?.split(' / ') ?? [];

/**
 * Reads one element of the metadata file.
 *
 * @param columns the names of the list's columns
 * @param scoreScale the maximum of its plain scores
 * @returns the album and the defects found, or `null` if the element is not an album (no integer id of 0 or more)
 */
export function readAlbum(
  row: unknown,
  columns: Partial<Record<Column, string>>,
  scoreScale: number,
): { album: Album; dataIssues: DataIssue[] } | null {
  if (typeof row !== 'object' || row === null) return null;
  const field = (column: Column): unknown => {
    const name = columns[column];
    return name === undefined ? undefined : (row as Record<string, unknown>)[name];
  };
  const id = idOf(field('id'));
  if (id === null) return null;

  const dataIssues: DataIssue[] = [];
  const artist = textOf(field('artist'));
  if (artist === null) dataIssues.push('missing_artist');
  else if (typeof field('artist') === 'number') dataIssues.push('numeric_artist');
  const albumName = textOf(field('albumName'));
  if (albumName === null) dataIssues.push('missing_title');
  if (isGarbled(artist) || isGarbled(albumName)) dataIssues.push('garbled_text');

  const genres = genresIn(field('genre'));
  if (!genres) dataIssues.push('sentence_as_genre');
  const given = scoreOf(field('score'));
  const score = given && outOfTen(given, scoreScale);
  if (score === undefined) dataIssues.push('implausible_value');
  if (score === null) dataIssues.push('missing_score');
  const year = yearOf(field('releaseYear'));
  if (year === undefined) dataIssues.push('implausible_value');

  const album: Album = {
    id,
    artist,
    albumName,
    genre: genres && genres.length > 0 ? genres.join(' / ') : null,
    releaseYear: year ?? null,
    score: score ?? null,
    bestNewMusic: isMarked(field('bestNewMusic')),
    label: textOf(field('label')),
    reviewer: textOf(field('reviewer')),
    coverUrl: textOf(field('coverUrl')),
    filename: textOf(field('filename')),
  };
  return { album, dataIssues };
}

/** UTF-8 that was decoded as Latin-1 (`Ã¶` for `ö`, `â€™` for `’`), and U+FFFD, which replaces lost characters. */
const isGarbled = (text: string | null): boolean =>
  text !== null && /[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\ufffd/.test(text);
