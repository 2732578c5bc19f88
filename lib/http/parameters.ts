import leven from 'leven';
import * as z from 'zod';
import type { AlbumFilter } from '../catalog/filter.ts';
import { maxDepth } from '../config.ts';
import { AppError } from '../errors.ts';
import { integer, number, parseFields } from '../fields.ts';
import { thumbnailSizes, type ThumbnailSize } from '../imaging/thumbnails.ts';

/** `k` if the request has none. */
export const defaultK = 10;

/** Values by name, from a query string or form; a repeated name has a list. */
export type RawParameters = Readonly<Record<string, unknown>>;

/** What other services call the parameters; case and punctuation do not count. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  k: ['topk', 'topn', 'n', 'num', 'limit', 'count', 'size', 'perpage', 'pagesize', 'maxresults'],
  offset: ['skip', 'page'],
  genre: ['style', 'styles'],
  year_min: ['minyear', 'yearfrom', 'fromyear', 'yearstart', 'startyear', 'year'],
  year_max: ['maxyear', 'yearto', 'toyear', 'yearend', 'endyear'],
  score_min: ['minscore', 'score', 'rating', 'minrating', 'ratingmin'],
  best_new_music: ['bnm'],
  query: ['q', 'text', 'search', 'term', 'prompt'],
  size: ['width', 'w'],
};

/** The letters and digits of a name: `yearMin` and `year-min` are `year_min`. */
const bare = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** The known name that an unknown one was probably meant to be. */
function meantBy(name: string, names: readonly string[]): string | undefined {
  const found = bare(name);
  const alike = (one: string) => {
    const [a, b] = [found, bare(one)];
    // Short names are too close to everything: only what is 4 letters or longer may have a wrong one.
    return b.length >= 4 && a.length >= 4 && leven(a, b, { maxDistance: 2 }) <= 1;
  };
  return (
    names.find((one) => bare(one) === found || otherNames[one]?.includes(found)) ??
    names.find((one) => alike(one))
  );
}

/**
 * The values of the parameters that an endpoint knows. `genre[]` and `genre[0]`, as axios and jQuery write a list,
 * are `genre`; a blank value, as HTML forms send, is none. Other names are ignored, as those of analytics are, but
 * not where one is nearly that of a parameter: the answer would not be the one that was asked for.
 *
 * @throws AppError `invalid_parameter` with the right name
 */
function known(raw: RawParameters, names: readonly string[]): Record<string, unknown> {
  const given = new Map<string, unknown[]>();
  for (const [key, value] of Object.entries(raw)) {
    const name = key.replace(/\[\d*\]$/, '');
    if (!names.includes(name)) {
      const meant = meantBy(name.slice(0, 100), names);
      if (meant === undefined) continue;
      throw new AppError(
        'invalid_parameter',
        `Unknown parameter ${name.slice(0, 100)}: did you mean ${meant}?`,
        { parameters: [meant] },
      );
    }
    const values = [value]
      .flat()
      .filter((one) => name === 'query' || typeof one !== 'string' || one.trim() !== '');
    if (values.length > 0) given.set(name, [...(given.get(name) ?? []), ...values]);
  }
  return Object.fromEntries(
    [...given].map(([name, values]) => [name, values.length > 1 ? values : values[0]]),
  );
}

/** Makes the reader of an endpoint's parameters. @throws AppError `invalid_parameter` */
const reader = <Shape extends z.ZodRawShape>(shape: Shape) => {
  const schema = z.object(shape);
  const names = Object.keys(shape);
  return (raw: RawParameters) => parseFields(schema, known(raw, names), 'invalid_parameter');
};

const yes = ['true', '1', 'yes', 'on'];
const no = ['false', '0', 'no', 'off'];
const truth = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.enum([...yes, ...no]))
  .transform((word) => yes.includes(word))
  .describe('true or false');
const year = integer(1000, 9999).optional();

const searchShape = (maxK: number) => ({
  k: integer(1, maxK).default(defaultK),
  offset: integer(0, maxDepth - 1).default(0),
  genre: z
    .union([z.string().transform((genre) => [genre]), z.array(z.string())])
    .pipe(z.array(z.string().trim().min(1).max(100)).max(100))
    .describe('1 to 100 genres of at most 100 characters')
    .optional(),
  year_min: year,
  year_max: year,
  score_min: number(0, 10).optional(),
  best_new_music: truth.optional(),
});

/** `k`, `offset` and the filters of a search. */
export interface SearchParameters {
  k: number;
  /** How many of the best results are skipped. */
  offset: number;
  filter: AlbumFilter;
}

export interface ImageParameters extends SearchParameters {
  /** `false`: skip album recognition. */
  identify?: false;
}

/** `k`, `offset` and the filters. @throws AppError `invalid_parameter` if `year_max` is earlier than `year_min` */
function toSearch(value: z.output<z.ZodObject<ReturnType<typeof searchShape>>>): SearchParameters {
  const { year_min: yearMin, year_max: yearMax } = value;
  if (yearMin !== undefined && yearMax !== undefined && yearMin > yearMax)
    throw new AppError(
      'invalid_parameter',
      `year_max (${String(yearMax)}) must not be earlier than year_min (${String(yearMin)}).`,
      { parameters: ['year_max'] },
    );
  return {
    // The last page is as long as the depth leaves it.
    k: Math.min(value.k, Math.max(1, maxDepth - value.offset)),
    offset: value.offset,
    filter: {
      ...(value.genre && { genres: value.genre }),
      ...(yearMin !== undefined && { yearMin }),
      ...(yearMax !== undefined && { yearMax }),
      ...(value.score_min !== undefined && { scoreMin: value.score_min }),
      ...(value.best_new_music !== undefined && { bestNewMusic: value.best_new_music }),
    },
  };
}

/*
 * The readers of each endpoint's parameters. Make one once: a schema costs more to build than to use. Each throws
 * AppError `invalid_parameter`, naming the parameter, what was expected and what was received.
 */

/** Of `GET /api/albums/{album_id}/similar`. */
export function similarParameterReader(maxK: number) {
  const read = reader(searchShape(maxK));
  return (raw: RawParameters): SearchParameters => toSearch(read(raw));
}

/** Of `GET /api/search-by-text`. */
export function textParameterReader(maxK: number) {
  const query = z.string().trim().min(1).max(1000).describe('1 to 1000 characters of text');
  const read = reader({ query, ...searchShape(maxK) });
  return (raw: RawParameters): { query: string; parameters: SearchParameters } => {
    const value = read(raw);
    return { query: value.query, parameters: toSearch(value) };
  };
}

/** Of `POST /api/search-by-image`. */
export function imageParameterReader(maxK: number) {
  const uploadId = z.uuid().describe('an upload_id of POST /api/uploads').optional();
  const read = reader({ ...searchShape(maxK), upload_id: uploadId, identify: truth.default(true) });
  return (raw: RawParameters): { uploadId?: string; parameters: ImageParameters } => {
    const value = read(raw);
    return {
      ...(value.upload_id !== undefined && { uploadId: value.upload_id }),
      parameters: { ...toSearch(value), ...(!value.identify && { identify: false }) },
    };
  };
}

const readAlbum = reader({
  album_id: integer(0, Number.MAX_SAFE_INTEGER).describe('an integer of 0 or more'),
});

/** Reads an album's id from a path. @throws AppError `invalid_parameter` */
export const readAlbumId = (raw: RawParameters): number => readAlbum(raw).album_id;

const readThumbnail = reader({
  size: z
    .enum(thumbnailSizes.map(String))
    .transform((size) => thumbnailSizes.find((one) => String(one) === size))
    .describe(`one of ${thumbnailSizes.join(', ')}`)
    .optional(),
});

/** Reads the size of a thumbnail; `undefined`: the cover itself. @throws AppError `invalid_parameter` */
export const readThumbnailSize = (raw: RawParameters): ThumbnailSize | undefined =>
  readThumbnail(raw).size;

/** Media types of pictures that may be uploaded. */
export const uploadTypes = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/avif',
  'image/heic',
  'image/heif',
  'image/tiff',
  'image/gif',
] as const;

const readUploadBody = reader({
  content_type: z
    .enum(uploadTypes)
    .default('image/jpeg')
    .describe(`one of ${uploadTypes.join(', ')}`),
});

/** Reads what kind of picture is going to be uploaded. @throws AppError `invalid_parameter` */
export const readUploadType = (raw: RawParameters): string => readUploadBody(raw).content_type;
