import * as z from 'zod';
import type { AlbumFilter } from '../catalog/filter.ts';
import { AppError } from '../errors.ts';
import { integer, number, parseFields } from '../fields.ts';
import { thumbnailSizes, type ThumbnailSize } from '../imaging/thumbnails.ts';

/** `k` where the request names none. */
export const defaultK = 10;

/** Values by name as a query string or form gives them; a name given twice has a list. */
export type RawParameters = Readonly<Record<string, unknown>>;

const yes = z.enum(['true', '1']).transform(() => true);
const no = z.enum(['false', '0']).transform(() => false);
const year = integer(1000, 9999).optional();

/** How deep one may page into an answer: the best so many albums. */
export const maxDepth = 200;

const searchFields = (maxK: number) =>
  z.object({
    k: integer(1, maxK).default(defaultK),
    offset: integer(0, maxDepth - 1).default(0),
    genre: z
      .union([z.string().transform((genre) => [genre]), z.array(z.string())])
      .pipe(z.array(z.string().trim().min(1).max(100)))
      .describe('one or more genres, none of them blank')
      .optional(),
    year_min: year,
    year_max: year,
    score_min: number(0, 10).optional(),
    best_new_music: z.union([yes, no]).describe('true or false').optional(),
  });

const query = z.object({
  query: z.string().trim().min(1).max(1000).describe('1 to 1000 characters of text'),
});

/** What narrows a search. */
export interface SearchParameters {
  k: number;
  /** Of the best, how many are left out. */
  offset: number;
  filter: AlbumFilter;
}

/**
 * Makes the reader of `k` and the filters. Make it once: a schema costs more to build than to use. Names
 * that mean nothing here are ignored.
 *
 * The reader throws AppError `invalid_parameter`, naming the parameter, what was expected and what was
 * received.
 */
export function searchParameterReader(maxK: number): (raw: RawParameters) => SearchParameters {
  const schema = searchFields(maxK);
  return (raw) => {
    const value = parseFields(schema, raw, 'invalid_parameter');
    const { year_min: yearMin, year_max: yearMax } = value;
    if (yearMin !== undefined && yearMax !== undefined && yearMin > yearMax)
      throw new AppError(
        'invalid_parameter',
        `Expected a year from year_min (${String(yearMin)}) on for year_max but received "${String(yearMax)}".`,
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
  };
}

/** Reads the words to search for. @throws AppError `invalid_parameter` */
export const readQuery = (raw: RawParameters): string =>
  parseFields(query, raw, 'invalid_parameter').query;

const albumId = z.object({
  album_id: integer(0, Number.MAX_SAFE_INTEGER).describe('an integer of 0 or more'),
});

/** Reads an album's id from a path. @throws AppError `invalid_parameter` */
export const readAlbumId = (raw: RawParameters): number =>
  parseFields(albumId, raw, 'invalid_parameter').album_id;

const thumbnail = z.object({
  size: z
    .enum(thumbnailSizes.map(String))
    .transform((size) => thumbnailSizes.find((one) => String(one) === size))
    .describe(`one of ${thumbnailSizes.join(', ')}`)
    .optional(),
});

/** Reads the size of a thumbnail; `undefined`: the cover itself. @throws AppError `invalid_parameter` */
export const readThumbnailSize = (raw: RawParameters): ThumbnailSize | undefined =>
  parseFields(thumbnail, raw, 'invalid_parameter').size;

/** Media types of pictures that may be uploaded. */
export const uploadTypes = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/avif',
  'image/gif',
] as const;

const uploadType = z.object({
  content_type: z
    .enum(uploadTypes)
    .default('image/jpeg')
    .describe(`one of ${uploadTypes.join(', ')}`),
});

/** Reads what kind of picture is going to be uploaded. @throws AppError `invalid_parameter` */
export const readUploadType = (raw: RawParameters): string =>
  parseFields(uploadType, raw, 'invalid_parameter').content_type;

const uploadId = z.object({ upload_id: z.uuid().describe('an upload_id of POST /api/uploads') });

/** Reads the id of an upload. @throws AppError `invalid_parameter` */
export const readUploadId = (raw: RawParameters): string =>
  parseFields(uploadId, raw, 'invalid_parameter').upload_id;
