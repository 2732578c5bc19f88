import leven from 'leven';
import * as z from 'zod';
import type { AlbumFilter } from '../catalog/filter.ts';
import { maxDepth } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { integer, number, parseFields } from '../config/fields.ts';
import { thumbnailSizes } from '../imaging/thumbnails.ts';
import { searchBy, type Refinement } from '../search/search-service.ts';

/** Values by name, from a query string or form; a repeated name has a list. */
export type RawParameters = Readonly<Record<string, unknown>>;

const namesOfCount = ['topk', 'topn', 'n', 'num', 'count', 'size', 'perpage', 'pagesize'];

/** What other services call the parameters; case and punctuation do not count. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  k: [...namesOfCount, 'limit', 'maxresults'],
  limit: [...namesOfCount, 'k', 'maxresults'],
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

/** Names that other clients send for good reason, though they are nearly those of parameters. */
const harmless: readonly string[] = ['height'];

/** The known name that an unknown one was probably meant to be. */
function meantBy(name: string, names: readonly string[]): string | undefined {
  const found = bare(name);
  if (harmless.includes(found)) return undefined;
  // Short names are too close to everything: only what is 4 letters or longer may have a wrong one.
  const alike = (one: string) =>
    Math.min(found.length, one.length) >= 4 && leven(found, one, { maxDistance: 2 }) <= 1;
  return (
    names.find((one) => bare(one) === found || otherNames[one]?.includes(found)) ??
    names.find((one) => alike(bare(one)))
  );
}

/**
 * The values of the parameters that an endpoint knows. `genre[]` and `genre[0]`, as axios and jQuery write a list,
 * are `genre`; a blank value, as HTML forms send, is none, unless the parameter is required. Other names are ignored, as
 * those of analytics are, but not where one is nearly that of a parameter: the answer would not be the one that was
 * asked for.
 *
 * @throws AppError `invalid_parameter` with the right name
 */
function known(raw: RawParameters, shape: z.ZodRawShape): Record<string, unknown> {
  const names = Object.keys(shape);
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
      .filter((one) => !isOptional(shape[name]) || typeof one !== 'string' || one.trim() !== '');
    if (values.length > 0) given.set(name, [...(given.get(name) ?? []), ...values]);
  }
  return Object.fromEntries(
    [...given].map(([name, values]) => [name, values.length > 1 ? values : values[0]]),
  );
}

const isOptional = (field: unknown) =>
  field instanceof z.ZodOptional || field instanceof z.ZodDefault;

/** Makes the reader of an endpoint's parameters, which converts what the schema has made of them. */
const reader = <Shape extends z.ZodRawShape, Value>(
  schema: z.ZodObject<Shape>,
  convert: (fields: z.output<z.ZodObject<Shape>>) => Value,
) => {
  const { shape } = schema;
  return (raw: RawParameters) =>
    convert(parseFields(schema, known(raw, shape), 'invalid_parameter'));
};

const yes = ['true', '1', 'yes', 'on'];
const no = ['false', '0', 'no', 'off'];
const truth = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.enum([...yes, ...no]))
  .transform((word) => yes.includes(word))
  .pipe(z.boolean())
  .describe('true or false');
const year = integer(1000, 9999);
const text = z.string().trim().min(1).max(1000).describe('1 to 1000 characters of text');

/*
 * The parameters of each endpoint, for its reader and for OpenAPI. `description` is what a field expects, as error
 * messages have it; `about` is its text in OpenAPI.
 */

const pageShape = {
  offset: integer(0, maxDepth - 1)
    .default(0)
    .meta({
      about: `Number of results to skip, for paging; only the best ${String(maxDepth)} are available.`,
    }),
  genre: z
    .union([z.string().transform((genre) => [genre]), z.array(z.string())])
    .pipe(z.array(z.string().trim().min(1).max(100)).max(100))
    .describe('1 to 100 genres of at most 100 characters')
    .optional()
    .meta({
      about:
        'Only albums of this genre; repeat it for several. An album tagged `Electronic / Rock` matches either.',
    }),
  year_min: year.optional().meta({ about: 'Released in this year or later.' }),
  year_max: year.optional().meta({ about: 'Released in this year or earlier.' }),
  score_min: number(0, 10).optional().meta({ about: 'Pitchfork score of at least this.' }),
  best_new_music: truth
    .optional()
    .meta({ about: 'true: only Best New Music; false: only the others.' }),
};

const count = (maxK: number) => integer(1, maxK).default(10).meta({ about: 'Number of results.' });
const searchShape = (maxK: number) => ({ k: count(maxK), ...pageShape });

const refinementShape = {
  query: text.optional().meta({ about: 'What the covers should show besides being similar.' }),
  not: text.optional().meta({ about: 'What the covers should not show.' }),
  weight: number(0, 1)
    .optional()
    .meta({ about: 'How much `query` and `not` count, 0.5 by default; 1: the picture does not.' }),
};

/** Of `GET /api/albums/{album_id}/similar`. */
export const similarParameters = (maxK: number) =>
  z.object({ ...refinementShape, ...searchShape(maxK) });

/** Of `GET /api/search-by-text`. */
export const textParameters = (maxK: number) =>
  z.object({
    query: text.meta({ about: 'What the cover shows. Not blank.' }),
    by: z
      .enum(searchBy)
      .default('cover')
      .describe(`one of ${searchBy.join(', ')}`)
      .meta({ about: 'Whether covers, names, or both lists fused are searched.' }),
    ...searchShape(maxK),
  });

const nameField = text.meta({
  about: 'Words of artist, title, label, year or genre; the last may be incomplete. Not blank.',
});

/** Of `GET /api/albums`. */
export const nameParameters = (maxK: number) =>
  z.object({
    query: nameField,
    every_word: truth
      .default(false)
      .meta({ about: 'true: every word must occur. false: two of three, if no album has all.' }),
    limit: count(maxK),
    ...pageShape,
  });

/** Of `GET /api/suggest`. */
export const suggestParameters = z.object({
  query: nameField,
  limit: integer(1, 20).default(8).meta({ about: 'Number of suggestions.' }),
});

/** Of `POST /api/search-by-image`, in the query string or in the form. */
export const imageParameters = (maxK: number) =>
  z.object({
    upload_id: z
      .uuid()
      .describe('an upload_id of POST /api/uploads')
      .optional()
      .meta({ about: 'Instead of a file: the picture that was uploaded to S3 under this id.' }),
    identify: truth
      .default(true)
      .meta({ about: 'false: skip album recognition, which is faster.' }),
    ...refinementShape,
    ...searchShape(maxK),
  });

/** In a path. */
export const albumParameters = z.object({
  album_id: integer(0, Number.MAX_SAFE_INTEGER).describe('an integer of 0 or more'),
});

/** Of `GET /api/image/{album_id}`. */
export const thumbnailParameters = z.object({
  size: z
    .enum(thumbnailSizes.map(String))
    .transform((size) => thumbnailSizes.find((one) => String(one) === size))
    .pipe(z.literal(thumbnailSizes))
    .describe(`one of ${thumbnailSizes.join(', ')}`)
    .optional()
    .meta({
      about:
        'A thumbnail that fits a square of this many pixels: WebP or AVIF if `Accept` names it, else JPEG.',
    }),
});

/** Media types of pictures that may be uploaded. */
const uploadTypes = ['jpeg', 'png', 'webp', 'avif', 'heic', 'heif', 'tiff', 'gif'].map(
  (format) => `image/${format}`,
);

/** The body of `POST /api/uploads`. */
export const uploadParameters = z.object({
  content_type: z
    .enum(uploadTypes)
    .default('image/jpeg')
    .describe(`one of ${uploadTypes.join(', ')}`),
});

/** `k`, `offset` and the filters of a search. */
interface SearchParameters {
  k: number;
  /** How many of the best results are skipped. */
  offset: number;
  filter: AlbumFilter;
}

type SearchFields = z.output<z.ZodObject<ReturnType<typeof searchShape>>>;

/** `k`, `offset` and the filters. @throws AppError `invalid_parameter` if `year_max` is earlier than `year_min` */
function toSearch(value: SearchFields): SearchParameters {
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

/** The words that change a search. @throws AppError `invalid_parameter` if there is a weight but no words */
function toRefinement({ query, not, weight }: z.output<z.ZodObject<typeof refinementShape>>): {
  refinement?: Refinement;
} {
  if (query !== undefined || not !== undefined)
    return { refinement: { ...(query && { query }), ...(not && { not }), weight: weight ?? 0.5 } };
  if (weight !== undefined)
    throw new AppError('invalid_parameter', 'weight needs query or not.', {
      parameters: ['weight'],
    });
  return {};
}

/*
 * The readers of these parameters. Make one once: a schema costs more to build than to use. Each throws
 * AppError `invalid_parameter`, naming the parameter, what was expected and what was received.
 */

export const similarParameterReader = (maxK: number) =>
  reader(similarParameters(maxK), (fields) => ({ ...toSearch(fields), ...toRefinement(fields) }));

export const nameParameterReader = (maxK: number) =>
  reader(nameParameters(maxK), (fields) => ({
    query: fields.query,
    parameters: { everyWord: fields.every_word, ...toSearch({ ...fields, k: fields.limit }) },
  }));

export const readSuggestParameters = reader(suggestParameters, (fields) => fields);

export const textParameterReader = (maxK: number) =>
  reader(textParameters(maxK), (fields) => ({
    query: fields.query,
    parameters: { by: fields.by, ...toSearch(fields) },
  }));

export const imageParameterReader = (maxK: number) =>
  reader(imageParameters(maxK), (fields) => ({
    uploadId: fields.upload_id,
    parameters: {
      ...toSearch(fields),
      ...toRefinement(fields),
      ...(!fields.identify && { identify: false as const }),
    },
  }));

/** An album's id, from a path. */
export const readAlbumId = reader(albumParameters, (fields) => fields.album_id);

/** The size of a thumbnail; `undefined`: the cover itself. */
export const readThumbnailSize = reader(thumbnailParameters, (fields) => fields.size);

/** What kind of picture is going to be uploaded. */
export const readUploadType = reader(uploadParameters, (fields) => fields.content_type);
