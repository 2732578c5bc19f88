import * as z from 'zod';
import type { Config } from '../config/config.ts';
import type { ErrorCode } from '../errors.ts';
import { name, version } from '../version.ts';
import { formatList } from '../imaging/refusal.ts';
import {
  albumParameters,
  imageParameters,
  nameParameters,
  similarParameters,
  suggestParameters,
  textParameters,
  thumbnailParameters,
  uploadParameters,
} from './parameters.ts';
import { problems } from './problem.ts';

/** Every endpoint, in the order in which `GET /` lists them. */
export const endpoints = [
  'GET /',
  'GET /health',
  'GET /ready',
  'POST /api/search-by-image',
  'POST /api/uploads',
  'GET /api/search-by-text',
  'GET /api/albums',
  'GET /api/suggest',
  'GET /api/albums/{album_id}',
  'GET /api/albums/{album_id}/similar',
  'GET /api/image/{album_id}',
  'GET /api/stats',
  'GET /api/genres',
  'GET /api/year-range',
  'GET /openapi.json',
  'GET /docs',
] as const;

/** A value of a JSON type. */
const value = (type: string | string[], description?: string) => ({
  type,
  ...(description !== undefined && { description }),
});
const nullable = (type: string, description?: string) => value([type, 'null'], description);
const list = (items: object, description?: string) => ({ ...value('array', description), items });
const object = (properties: object, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
});
const ref = (schema: string) => ({ $ref: `#/components/schemas/${schema}` });

const json = (description: string, schema: object) => ({
  description,
  content: { 'application/json': { schema } },
});
/** A response that is an object with all of these properties. */
const answer = (description: string, properties: object) => json(description, object(properties));

const albumsFound = (description: string) => ({ 200: json(description, ref('SearchResponse')) });

/** Problem responses by status, each naming the codes that it can carry. */
const problemResponses = (...codes: ErrorCode[]) => {
  const all: ErrorCode[] = [...codes, 'rate_limited', 'internal_error'];
  const describe = (status: number) => ({
    description: all
      .filter((code) => problems[code].status === status)
      .map((code) => `\`${code}\`: ${problems[code].title}.`)
      .join(' '),
    content: { 'application/problem+json': { schema: ref('Problem') } },
    ...((status === 503 || status === 429) && {
      headers: { 'Retry-After': { schema: value('integer'), description: 'Seconds.' } },
    }),
  });
  const statuses = new Set(all.map((code) => problems[code].status));
  return Object.fromEntries([...statuses].map((status) => [String(status), describe(status)]));
};

/** An endpoint that needs no key. */
const open = (summary: string, responses: object, request: object = {}) => ({
  summary,
  security: [],
  ...request,
  responses,
});

/** An endpoint that needs a key, if there are any, with its responses and the codes of its problems. */
const guarded = (summary: string, request: object, codes: ErrorCode[], responses: object) => ({
  summary,
  ...request,
  responses: { ...responses, ...problemResponses('unauthorized', ...codes) },
});

/** What can go wrong with the service's own files. */
const assetCodes: ErrorCode[] = [
  'assets_missing',
  'assets_inconsistent',
  'index_unreadable',
  'model_unreadable',
  'catalog_unreadable',
  'storage_unavailable',
  'out_of_time',
  'encoder_lost',
];
const catalogCodes: ErrorCode[] = ['assets_missing', 'catalog_unreadable'];

/** The fields of an endpoint's parameters as JSON Schema. */
const propertiesOf = (parameters: z.ZodObject): object => {
  const { properties = {} } = z.toJSONSchema(parameters, {
    override: ({ jsonSchema }) => {
      jsonSchema.description = jsonSchema['about'] as string; // its own is for error messages
      delete jsonSchema['about'];
    },
  });
  return properties;
};

const parametersIn = (place: 'query' | 'path', parameters: z.ZodObject) => {
  const { required = [] } = z.toJSONSchema(parameters, { io: 'input' });
  return Object.entries(propertiesOf(parameters)).map(([field, property]) => {
    const { description, ...schema } = property as Record<string, unknown>;
    const isRequired = required.includes(field) && { required: true };
    return { name: field, in: place, ...isRequired, description, schema };
  });
};

const albumInPath = parametersIn('path', albumParameters);
const binary = { type: 'string', format: 'binary' };
const genreCounts = list(object({ genre: value('string'), albums: value('integer') }));

const schemas = {
  Album: object({
    album_id: value('integer', "The album's public id."),
    artist: nullable('string'),
    album_name: nullable('string'),
    genre: nullable('string'),
    release_year: nullable('integer'),
    similarity_score: nullable(
      'number',
      'Cosine of the embeddings, -1 to 1; null: the album was found by its name.',
    ),
    pitchfork_score: nullable('number', '0.0 to 10.0.'),
    best_new_music: value('boolean'),
    image_url: value('string', 'Path of the cover on this server.'),
    cover_url_original: nullable('string'),
  }),
  Identified: object({
    album_id: value('integer'),
    artist: nullable('string'),
    album_name: nullable('string'),
    points: value('integer', 'Number of features of the cover that were found in the picture.'),
    outline: {
      ...list(
        { ...list(value('number')), minItems: 2, maxItems: 2 },
        "Corners of the cover, clockwise from its top left: x and y as fractions of the upright picture's width and height; outside 0 to 1 where the cover extends beyond the picture.",
      ),
      minItems: 4,
      maxItems: 4,
    },
    alternatives: list(
      value('integer'),
      'Albums whose covers fit the same place almost as well: other editions, or singles with the same artwork.',
    ),
  }),
  SearchResponse: object(
    {
      success: { const: true },
      query_type: { enum: ['image', 'text', 'name', 'similar'] },
      identified: {
        ...nullable(
          'array',
          'Albums recognised in the picture, largest first, regardless of the filters; empty: none of this catalog; null: recognition did not run (image searches only).',
        ),
        items: ref('Identified'),
      },
      total_results: value('integer'),
      results: list({
        allOf: [ref('Album')],
        properties: {
          matched: list(
            { enum: ['name', 'cover'] },
            'What matched the text (with `by=name` or `by=both` only).',
          ),
        },
      }),
      notes: list(
        value('string'),
        'Notes on the filters, such as a genre that no album has; absent if there are none.',
      ),
      query: value('string', 'The text of the request.'),
      not: value('string', 'What the covers should not show.'),
      weight: value('number', 'How much `query` and `not` counted.'),
      similar_to: value(
        'integer',
        'The album that the results are similar to (similar searches only).',
      ),
    },
    ['success', 'query_type', 'total_results', 'results'],
  ),
  Problem: object(
    {
      type: value('string'),
      title: value('string'),
      status: value('integer'),
      code: { enum: Object.keys(problems) },
      detail: value('string', 'What was wrong with this request, in one sentence.'),
      instance: value('string'),
      request_id: value('string', 'The same as in X-Request-Id and in the log.'),
      parameters: list(
        value('string'),
        'Names of the invalid parameters, if the error is about parameters.',
      ),
    },
    ['type', 'title', 'status', 'code', 'detail', 'instance', 'request_id'],
  ),
};

const systemEndpoints = {
  'GET /': open('What this is', {
    200: answer('Name, version and endpoints. (Clients that prefer HTML get the page.)', {
      name: value('string'),
      version: value('string'),
      albums_indexed: value('integer'),
      model: value('string'),
      starter_set: value('boolean'),
      endpoints: list(value('string')),
    }),
    ...problemResponses(...assetCodes),
  }),
  'GET /health': open('Whether the process is alive, and what it has loaded', {
    200: answer('Alive.', {
      status: { const: 'healthy' },
      models_loaded: object({
        image_encoder: value('boolean'),
        text_encoder: value('boolean'),
        index: value('boolean'),
        catalog: value('boolean'),
      }),
      albums_indexed: nullable('integer', 'null until the index is loaded.'),
      identification: nullable(
        'boolean',
        'Whether albums are recognised in pictures; null until that is known.',
      ),
      catalog_issues: {
        ...nullable('array', 'Problems with the metadata as a whole, such as a missing column.'),
        items: value('string'),
      },
      starter_set: nullable('boolean'),
      uptime_seconds: value('number'),
      response_time_ms: value('number'),
    }),
  }),
  'GET /ready': open('Whether everything is loaded and consistent', {
    200: answer('Ready.', { status: { const: 'ready' }, albums_indexed: nullable('integer') }),
    ...problemResponses('starting'),
  }),
  'GET /openapi.json': open('This document', { 200: json('OpenAPI 3.1.', value('object')) }),
  'GET /docs': open('This document as an interactive page', {
    200: { description: 'A page.', content: { 'text/html': {} } },
  }),
};

const catalogEndpoints = {
  'GET /api/stats': guarded('Statistics of the catalog', {}, catalogCodes, {
    200: answer('The statistics.', {
      total_albums: value('integer'),
      top_genres: { ...genreCounts, maxItems: 10 },
      first_year: nullable('integer'),
      last_year: nullable('integer'),
      mean_pitchfork_score: nullable('number'),
      best_new_music: value('integer'),
    }),
  }),
  'GET /api/genres': guarded('Every genre, with its number of albums', {}, catalogCodes, {
    200: answer('Most albums first.', { genres: genreCounts }),
  }),
  'GET /api/year-range': guarded('First and last release year', {}, catalogCodes, {
    200: answer('The years.', { year_min: nullable('integer'), year_max: nullable('integer') }),
  }),
  'GET /api/albums/{album_id}': guarded(
    'One album',
    { parameters: albumInPath },
    ['invalid_parameter', 'album_not_found', ...catalogCodes],
    {
      200: answer('The album.', {
        album_id: value('integer'),
        artist: nullable('string'),
        album_name: nullable('string'),
        genre: nullable('string'),
        label: nullable('string'),
        release_year: nullable('integer'),
        pitchfork_score: nullable('number'),
        best_new_music: value('boolean'),
        reviewer: nullable('string'),
        image_url: value('string'),
        cover_url_original: nullable('string'),
        identifiable: nullable(
          'boolean',
          'Whether the cover has enough features to be recognised in a picture; null: unknown, or recognition is off.',
        ),
      }),
    },
  ),
  'GET /api/image/{album_id}': open(
    'The cover of an album',
    {
      200: { description: 'The cover.', content: { 'image/jpeg': {} } },
      302: {
        description:
          'The location of the cover: on a CDN, or in S3 if it is too large for a response.',
      },
      206: { description: 'The requested range.', content: { 'image/jpeg': {} } },
      304: { description: 'The cached copy is current.' },
      ...problemResponses(
        'invalid_parameter',
        'album_not_found',
        'cover_not_found',
        'range_not_satisfiable',
        'precondition_failed',
      ),
    },
    { parameters: [...albumInPath, ...parametersIn('query', thumbnailParameters)] },
  ),
};

const nameCodes: ErrorCode[] = ['invalid_parameter', ...catalogCodes];

const searchEndpoints = ({ limits }: Config) => ({
  'POST /api/search-by-image': guarded(
    'Search by picture',
    {
      description: `${formatList} of at most ${String(limits.uploadBytes / 1024 / 1024)} MB: the field \`file\` of a form, or the raw body. \`k\` and the filters may be in the form or in the query string.`,
      parameters: parametersIn('query', imageParameters(limits.k)),
      requestBody: {
        required: false,
        content: {
          'multipart/form-data': {
            schema: object({ file: binary, ...propertiesOf(imageParameters(limits.k)) }, []),
          },
          'image/*': { schema: binary },
        },
      },
    },
    [
      'invalid_parameter',
      'missing_file',
      'unexpected_field',
      'too_many_files',
      'empty_file',
      'malformed_upload',
      'upload_incomplete',
      'upload_too_large',
      'not_an_image',
      'unsupported_image',
      'unreadable_image',
      'image_too_large',
      'uploads_disabled',
      'upload_not_found',
      'busy',
      ...assetCodes,
    ],
    albumsFound('The albums that were recognised, then the others, most similar first.'),
  ),
  'POST /api/uploads': guarded(
    'A presigned form for uploading a picture to S3',
    {
      description: `For pictures too large for a request (AWS Lambda accepts about 4.4 MB). Send \`fields\` and then the picture as \`file\` to \`url\`, then search by \`upload_id\`. At most ${String(limits.uploadBytes / 1024 / 1024)} MB.`,
      requestBody: {
        required: false,
        content: { 'application/json': { schema: object(propertiesOf(uploadParameters), []) } },
      },
    },
    ['invalid_parameter', 'invalid_request', 'uploads_disabled'],
    {
      201: answer('The form.', {
        upload_id: { type: 'string', format: 'uuid' },
        url: { type: 'string', format: 'uri' },
        fields: { type: 'object', additionalProperties: value('string') },
        max_bytes: value('integer'),
        expires_in: value('integer', 'Seconds.'),
      }),
    },
  ),
  'GET /api/albums/{album_id}/similar': guarded(
    'Albums with similar covers',
    { parameters: [...albumInPath, ...parametersIn('query', similarParameters(limits.k))] },
    ['invalid_parameter', 'album_not_found', 'busy', ...assetCodes],
    albumsFound('The albums, most similar first, without the album itself.'),
  ),
  'GET /api/search-by-text': guarded(
    'Search by text',
    { parameters: parametersIn('query', textParameters(limits.k)) },
    ['invalid_parameter', 'busy', ...assetCodes],
    albumsFound('The albums, most similar first.'),
  ),
  'GET /api/albums': guarded(
    'Search by name',
    { parameters: parametersIn('query', nameParameters(limits.k)) },
    nameCodes,
    albumsFound('The albums, best match first.'),
  ),
  'GET /api/suggest': guarded(
    'Suggestions while a name is typed',
    { parameters: parametersIn('query', suggestParameters) },
    nameCodes,
    {
      200: answer('The albums, best match first.', {
        query: value('string'),
        suggestions: list(
          object({
            album_id: value('integer'),
            artist: nullable('string'),
            album_name: nullable('string'),
            release_year: nullable('integer'),
            image_url: value('string'),
          }),
        ),
      }),
    },
  ),
});

/** Endpoints in the form of OpenAPI, by path and method. Each path has one method. */
const pathsOf = (operations: Record<string, object>) =>
  Object.fromEntries(
    Object.entries(operations).map(([endpoint, operation]) => {
      const [method = '', path = ''] = endpoint.split(' ');
      return [path, { [method.toLowerCase()]: operation }];
    }),
  );

/** The API as OpenAPI 3.1, with the limits that are in force. */
export const openApiDocument = (config: Config) => ({
  openapi: '3.1.0',
  info: {
    title: name,
    version,
    summary: 'Visual search over album covers',
    description:
      'Finds the albums whose covers are most similar to a picture or a description. Every error is `application/problem+json` with a stable `code`.',
  },
  security: [
    ...(config.server.apiKeys.length === 0 ? [{}] : []), // no key will do, too
    { bearerKey: [] },
    { headerKey: [] },
  ],
  paths: pathsOf({ ...searchEndpoints(config), ...catalogEndpoints, ...systemEndpoints }),
  components: {
    schemas,
    securitySchemes: {
      bearerKey: { type: 'http', scheme: 'bearer', description: 'A key of this service.' },
      headerKey: {
        type: 'apiKey',
        in: 'header',
        name: 'X-API-Key',
        description: 'The same, if `Authorization` is needed for something else.',
      },
    },
  },
});
