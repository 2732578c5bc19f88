/** One album as the API speaks of it. Absent values are `null`, never `NaN`. */
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
  /** What the list calls the cover's file. */
  readonly filename: string | null;
}

/** What was wrong with a row and was read round. */
export type Blemish =
  | 'missing_artist'
  | 'numeric_artist'
  | 'missing_title'
  | 'sentence_as_genre'
  | 'missing_score'
  | 'implausible_value';

/** `Electronic / Rock` is both; `Pop/R&B` is one genre. */
export const genresOf = (album: Album): string[] => album.genre?.split(' / ') ?? [];

/** The longest name of a genre in the real data has 12 characters (`Experimental`); a sentence has more. */
const longestGenre = 30;

/**
 * Reads one element of the metadata file.
 *
 * @returns the album and what had to be read round, or `null` where the element is no album (no integer
 *   `local_id` of 0 or more).
 */
export function readAlbum(row: unknown): { album: Album; blemishes: Blemish[] } | null {
  if (typeof row !== 'object' || row === null) return null;
  const field = row as Record<string, unknown>;
  const id = field['local_id'];
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) return null;

  const blemishes: Blemish[] = [];
  const artist = words(field['artist']);
  if (artist === null) blemishes.push('missing_artist');
  else if (typeof field['artist'] === 'number') blemishes.push('numeric_artist');
  const albumName = words(field['album_name']);
  if (albumName === null) blemishes.push('missing_title');

  const parts = words(field['genre'])?.split(' / ') ?? [];
  const sentence = parts.some((part) => part.length > longestGenre);
  if (sentence) blemishes.push('sentence_as_genre');
  const genres = sentence ? [] : parts.filter((part) => part !== 'None');
  const score = numberWithin(field['score'], 0, 10);
  if (score === undefined) blemishes.push('implausible_value');
  if (score === null) blemishes.push('missing_score');
  const year = numberWithin(field['release_year'], 1000, 9999);
  if (year === undefined) blemishes.push('implausible_value');

  const album: Album = {
    id,
    artist,
    albumName,
    genre: genres.length > 0 ? genres.join(' / ') : null,
    releaseYear: year == null ? null : Math.trunc(year),
    score: score ?? null,
    bestNewMusic: field['best_new_music'] === 1 || field['best_new_music'] === true,
    label: words(field['label']),
    reviewer: words(field['reviewer_name']),
    coverUrl: words(field['cover_url']),
    filename: words(field['filename']),
  };
  return { album, blemishes };
}

/** Text, trimmed; a number as its digits (pandas reads the band 311 as one); `null` where there is none. */
const words = (value: unknown): string | null => {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') return null;
  const trimmed = value.trim();
  return trimmed === '' ? null : trimmed;
};

/** `null` where there is none, `undefined` where there is one that can't be. */
const numberWithin = (value: unknown, min: number, max: number): number | null | undefined => {
  if (value === null || value === undefined) return null;
  return typeof value === 'number' && value >= min && value <= max ? value : undefined;
};
