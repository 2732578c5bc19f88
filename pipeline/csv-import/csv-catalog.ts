import { parse } from 'csv-parse/sync';
import {
  columns,
  findColumns,
  genresOf,
  isMarked,
  outOfTen,
  scoreOf,
  ScoreScale,
  textOf,
  yearOf,
  type Column,
} from '../../lib/catalog/columns.ts';
import { decodeText } from '../../lib/catalog/read-metadata.ts';
import { AppError } from '../../lib/errors.ts';
import { parseUrl } from './public-fetch.ts';

/** One row of a CSV, with the fields of the metadata file; pandas writes `null` as NaN. */
export interface CsvAlbum {
  /** Assigned in the order of the rows with a cover, before any download: a failed download leaves a gap. */
  localId: number;
  artist: string | null;
  albumName: string | null;
  genre: string | null;
  label: string | null;
  releaseYear: number | null;
  score: number | null;
  bestNewMusic: boolean;
  reviewer: string | null;
  /** A URL, or the path of a file relative to the CSV. */
  coverUrl: string;
}

export interface CsvCatalog {
  albums: CsvAlbum[];
  /** Lines of the file (from 1) without a cover; these get no id. */
  withoutCover: number[];
  /** What was detected about the file and what could not be parsed, one sentence each. */
  notes: string[];
}

/** Possible delimiters and their names. */
const delimiters = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars' } as const;
type Delimiter = keyof typeof delimiters;

/**
 * Reads a Pitchfork-style CSV: a header, then one album per line. Encoding and delimiter are detected; columns may have
 * any of the usual names, and values any of the usual forms ({@link columns}).
 *
 * @throws AppError `catalog_unreadable` if it is no CSV, has no column for the cover or no row with one
 */
export function readCsvCatalog(path: string, bytes: Uint8Array): CsvCatalog {
  const refuse = (why: string, cause?: unknown) =>
    new AppError('catalog_unreadable', `${path} is not a list of albums: ${why}.`, { cause });
  const { text, encoding } = decodeText(bytes);
  const delimiter = delimiterOf(text);
  let records: { record: string[]; info: { lines: number } }[];
  try {
    // with `info`, each record comes with the line where it ended, which the types omit
    records = parse(text, {
      bom: true,
      delimiter,
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as typeof records;
  } catch (error) {
    throw refuse(error instanceof Error ? error.message.replace(/\.$/, '') : 'it is no CSV', error);
  }
  const [head, ...rows] = records;
  if (!head) throw refuse('it is empty');
  const names = findColumns(head.record);
  if (names.coverUrl === undefined)
    throw refuse(
      `expected a column for the cover (${columns.coverUrl.join(', ')}) but the header has ${head.record.join(', ')}`,
    );
  const places = new Map(head.record.map((name, place) => [name, place]));
  const cell = (record: readonly string[], column: Column): string | undefined =>
    record[places.get(names[column] ?? '') ?? -1];
  const scores = new ScoreScale();
  for (const { record } of rows) scores.add(scoreOf(cell(record, 'score')));
  const scale = scores.maximum;
  const albums: CsvAlbum[] = [];
  const withoutCover: number[] = [];
  const strange = new Map<Column, string[]>();
  const understood = <T>(column: Column, value: string | undefined, read: T | undefined) => {
    if (read === undefined) {
      const values = strange.get(column) ?? [];
      values.push(value ?? '');
      strange.set(column, values);
    }
    return read ?? null;
  };
  for (const { record, info } of rows) {
    const field = (column: Column) => cell(record, column);
    const coverUrl = coverOf(textOf(field('coverUrl')));
    if (coverUrl === null) {
      withoutCover.push(info.lines);
      continue;
    }
    const score = scoreOf(field('score'));
    const genres = understood('genre', field('genre'), genresOf(field('genre')));
    albums.push({
      localId: albums.length,
      artist: textOf(field('artist')),
      albumName: textOf(field('albumName')),
      genre: genres && genres.length > 0 ? genres.join(' / ') : null,
      label: textOf(field('label')),
      releaseYear: understood('releaseYear', field('releaseYear'), yearOf(field('releaseYear'))),
      score: understood('score', field('score'), score && outOfTen(score.value, score.of ?? scale)),
      bestNewMusic: isMarked(field('bestNewMusic')),
      reviewer: textOf(field('reviewer')),
      coverUrl,
    });
  }
  if (albums.length === 0) throw refuse('no row has the URL of a cover, or its path');
  const notes = [
    ...(encoding === 'utf-8' ? [] : [`The file is ${encodingNames[encoding]}, and was converted.`]),
    ...(delimiter === ',' ? [] : [`Its values are separated by ${delimiters[delimiter]}.`]),
    ...(scale === 100 ? ['Most scores are above 10: all are read as scores out of 100.'] : []),
    ...[...strange].map(
      ([column, values]) =>
        `${String(values.length)} ${values.length === 1 ? 'value' : 'values'} of the column ${names[column] ?? column} could not be understood and ${values.length === 1 ? 'is' : 'are'} left out: ${values
          .slice(0, 3)
          .map((value) => JSON.stringify(value.slice(0, 40)))
          .join(', ')}${values.length > 3 ? ', …' : ''}`,
    ),
    ...(['artist', 'albumName', 'genre', 'releaseYear', 'score'] as const)
      .filter((column) => names[column] === undefined)
      .map((column) => `There is no column ${columns[column].slice(0, 3).join(', ')} or similar.`),
  ];
  return { albums, withoutCover, notes };
}

const encodingNames = {
  'utf-16le': 'UTF-16',
  'utf-16be': 'UTF-16',
  'windows-1252': 'not UTF-8 but Latin-1 (Windows-1252)',
} as const;

/** The most frequent delimiter in the header, outside quotes. */
function delimiterOf(text: string): Delimiter {
  const [header = ''] = text.replace(/^\s{1,1000}/, '').split(/[\r\n]/, 1);
  const bare = header.slice(0, 100_000).replace(/"[^"]*"?/g, '');
  const count = (delimiter: string) => bare.split(delimiter).length;
  const all = Object.keys(delimiters) as Delimiter[];
  return all.reduce((best, one) => (count(one) > count(best) ? one : best));
}

/** A URL, or the path of a file relative to the CSV; `null` if it is neither. */
function coverOf(text: string | null): string | null {
  if (text === null) return null;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text))
    return /\.[a-z0-9]{2,5}$/i.test(text) ? text.replaceAll('\\', '/') : null;
  const url = parseUrl(text);
  if (url?.protocol === 'file:') return filePath(url);
  return url && ['http:', 'https:'].includes(url.protocol) ? url.href : null;
}

function filePath({ pathname }: URL): string | null {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return null; // invalid percent-encoding
  }
}

/** Whether a cover must be downloaded instead of read from a local file. */
export const isWebCover = (cover: string): boolean => /^https?:\/\//.test(cover);

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

/** As Python's `json.dumps` writes it: non-ASCII characters as `\\uXXXX`. */
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
