import { parse } from 'csv-parse/sync';
import { AppError } from '../errors.ts';

/** One row of a CSV, as the metadata file has it; `null` is what pandas writes as NaN. */
export interface CsvAlbum {
  /** Given in the order of the rows that have a cover, before any is downloaded: where one fails, a gap stays. */
  localId: number;
  artist: string | null;
  albumName: string | null;
  genre: string | null;
  label: string | null;
  releaseYear: number | null;
  score: number | null;
  bestNewMusic: boolean;
  reviewer: string | null;
  coverUrl: string;
}

/** What the columns may be called; case and punctuation do not count. */
const columns = {
  artist: ['artist', 'artists', 'artist_name', 'band'],
  albumName: ['album', 'album_name', 'album_title', 'title'],
  genre: ['genre', 'genres'],
  label: ['label', 'labels', 'record_label'],
  releaseYear: ['year', 'release_year', 'released'],
  score: ['score', 'rating', 'pitchfork_score'],
  bestNewMusic: ['best_new_music', 'bnm', 'best'],
  reviewer: ['reviewer', 'reviewer_name', 'author'],
  coverUrl: ['cover_url', 'cover', 'cover_image_url', 'image_url', 'image', 'artwork_url'],
} as const;

type Column = keyof typeof columns;

export interface CsvCatalog {
  albums: CsvAlbum[];
  /** Lines of the file (from 1) without the URL of a cover: they get no id. */
  withoutCover: number[];
}

/**
 * Reads a Pitchfork-style CSV: a header, then an album a line.
 *
 * @throws AppError `catalog_unreadable` where it is no CSV, or has no column for the cover
 */
export function readCsvCatalog(path: string, text: string): CsvCatalog {
  const refuse = (why: string, cause?: unknown) =>
    new AppError('catalog_unreadable', `${path} is not a list of albums: ${why}.`, { cause });
  let records: { record: string[]; info: { lines: number } }[];
  try {
    // with `info` each record comes with where it ended, which the types do not know
    records = parse(text, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as typeof records;
  } catch (error) {
    throw refuse(error instanceof Error ? error.message.replace(/\.$/, '') : 'it is no CSV', error);
  }
  const [head, ...rows] = records;
  if (!head) throw refuse('it is empty');
  const places = findColumns(head.record);
  if (places.coverUrl === undefined)
    throw refuse(
      `expected a column for the cover (${columns.coverUrl.join(', ')}) but the header has ${head.record.join(', ')}`,
    );
  const albums: CsvAlbum[] = [];
  const withoutCover: number[] = [];
  for (const { record, info } of rows) {
    const field = (column: Column): string | null => {
      const place = places[column];
      const value = place === undefined ? '' : (record[place] ?? '').trim();
      return value === '' || /^nan$/i.test(value) ? null : value;
    };
    const coverUrl = webUrl(field('coverUrl'));
    if (coverUrl === null) {
      withoutCover.push(info.lines);
      continue;
    }
    albums.push({
      localId: albums.length,
      artist: field('artist'),
      albumName: field('albumName'),
      genre: field('genre'),
      label: field('label'),
      releaseYear: numberOf(field('releaseYear')),
      score: numberOf(field('score')),
      bestNewMusic: /^(1|1\.0|true|yes|y)$/i.test(field('bestNewMusic') ?? ''),
      reviewer: field('reviewer'),
      coverUrl,
    });
  }
  if (albums.length === 0) throw refuse('no row has the URL of a cover');
  return { albums, withoutCover };
}

function findColumns(head: readonly string[]): Partial<Record<Column, number>> {
  const names = head.map((name) =>
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/^_|_$/g, ''),
  );
  const places: Partial<Record<Column, number>> = {};
  for (const [column, known] of Object.entries(columns) as [Column, readonly string[]][]) {
    const name = known.find((one) => names.includes(one));
    if (name !== undefined) places[column] = names.indexOf(name);
  }
  return places;
}

const webUrl = (text: string | null): string | null => {
  const url = text !== null && URL.canParse(text) ? new URL(text) : null;
  return url && ['http:', 'https:'].includes(url.protocol) ? url.href : null;
};

const numberOf = (text: string | null): number | null => {
  const value = Number(text ?? NaN);
  return Number.isFinite(value) ? value : null;
};

/** One row of the metadata file as pandas writes it: literal NaN, years as floats, ASCII only. */
export function pandasRow(album: CsvAlbum): string {
  const fields: [string, string][] = [
    ['local_id', String(album.localId)],
    ['filename', textOrNaN(`album_${String(album.localId)}.jpg`)],
    ['artist', textOrNaN(album.artist)],
    ['album_name', textOrNaN(album.albumName)],
    ['genre', textOrNaN(album.genre)],
    ['label', textOrNaN(album.label)],
    ['release_year', floatOrNaN(album.releaseYear)],
    ['score', floatOrNaN(album.score)],
    ['best_new_music', album.bestNewMusic ? '1' : '0'],
    ['reviewer_name', textOrNaN(album.reviewer)],
    ['cover_url', textOrNaN(album.coverUrl)],
  ];
  return `{\n${fields.map(([name, value]) => `    "${name}": ${value}`).join(',\n')}\n  }`;
}

/** Python's `json.dumps`: everything beyond ASCII as `\\uXXXX`. */
const textOrNaN = (text: string | null): string =>
  text === null
    ? 'NaN'
    : JSON.stringify(text).replace(
        /[\u007f-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );

const floatOrNaN = (value: number | null): string => {
  if (value === null) return 'NaN';
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
};
