import * as z from 'zod';
import type { AlbumFilter } from '../catalog/filter.ts';
import { integer, number, parseFields } from '../fields.ts';

/** `k` where the request names none. */
export const defaultK = 10;

/** Values by name as a query string or form gives them; a name given twice has a list. */
export type RawParameters = Readonly<Record<string, unknown>>;

const yes = z.enum(['true', '1']).transform(() => true);
const no = z.enum(['false', '0']).transform(() => false);
const year = integer(1000, 9999).optional();

const searchFields = (maxK: number) =>
  z.object({
    k: integer(1, maxK).default(defaultK),
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

/**
 * Reads `k` and the filters. Names that mean nothing here are ignored.
 *
 * @throws AppError `invalid_parameter` naming the parameter, what was expected and what was received
 */
export function readSearchParameters(
  raw: RawParameters,
  maxK: number,
): { k: number; filter: AlbumFilter } {
  const value = parseFields(searchFields(maxK), raw, 'invalid_parameter');
  if (value.year_min !== undefined && value.year_max !== undefined)
    parseFields(
      z.object({
        year_max: z
          .number()
          .min(value.year_min)
          .describe(`a year from year_min on (${String(value.year_min)})`),
      }),
      { year_max: value.year_max },
      'invalid_parameter',
    );
  return {
    k: value.k,
    filter: {
      ...(value.genre && { genres: value.genre }),
      ...(value.year_min !== undefined && { yearMin: value.year_min }),
      ...(value.year_max !== undefined && { yearMax: value.year_max }),
      ...(value.score_min !== undefined && { scoreMin: value.score_min }),
      ...(value.best_new_music !== undefined && { bestNewMusic: value.best_new_music }),
    },
  };
}

/** Reads the words to search for. @throws AppError `invalid_parameter` */
export const readQuery = (raw: RawParameters): string =>
  parseFields(query, raw, 'invalid_parameter').query;

/** Reads an album's id from a path. @throws AppError `invalid_parameter` */
export const readAlbumId = (raw: RawParameters): number =>
  parseFields(
    z.object({ album_id: integer(0, Number.MAX_SAFE_INTEGER).describe('an integer of 0 or more') }),
    raw,
    'invalid_parameter',
  ).album_id;
