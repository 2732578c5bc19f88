import * as z from 'zod';
import type { Config } from '../config/config.ts';
import type { ErrorCode } from '../errors.ts';
import { name, version } from '../version.ts';
import { formatList } from '../imaging/refusal.ts';
import {
  albumParameters,
  imageParameters,
  similarParameters,
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
  'GET /api/albums/{album_id}',
  'GET /api/albums/{album_id}/similar',
  'GET /api/image/{album_id}',
  'GET /api/stats',
  'GET /api/genres',
  'GET /api/year-range',
  'GET /openapi.json',
  'GET /docs',
] as const;

const nullable = (type: string) => ({ type: [type, 'null'] });
const ref = (schema: string) => ({ $ref: `#/components/schemas/${schema}` });
const json = (description: string, schema: object) => ({
  description,
  content: { 'application/json': { schema } },
});

const object = (properties: Record<string, object>, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
});

/** Problem responses by status, each naming the codes that it can carry. */
const problemResponses = (...codes: ErrorCode[]) => {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...codes, 'rate_limited', 'internal_error'] as const) {
    const { status } = problems[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      String(status),
      {
        description: list.map((code) => `\`${code}\`: ${problems[code].title}.`).join(' '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
        ...(status === 503 || status === 429
          ? { headers: { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds.' } } }
          : {}),
      },
    ]),
  );
};

/** What can go wrong with the service's own files. */
const assetCodes = [
  'assets_missing',
  'assets_inconsistent',
  'index_unreadable',
  'model_unreadable',
  'catalog_unreadable',
  'storage_unavailable',
  'out_of_time',
  'encoder_lost',
] as const;

/** The fields of an endpoint's parameters as JSON Schema. */
const fieldsOf = (parameters: z.ZodObject) => {
  const { properties = {} } = z.toJSONSchema(parameters, {
    override: ({ jsonSchema }) => {
      delete jsonSchema.description; // it is for error messages
    },
  });
  const required = new Set(z.toJSONSchema(parameters, { io: 'input' }).required);
  return Object.entries(properties).map(([field, property]) => {
    const { about, ...schema } = property as Record<string, unknown>;
    return {
      ...{ field, schema, required: required.has(field) },
      about: about === undefined ? {} : { description: about },
    };
  });
};

const parametersIn = (place: 'query' | 'path', parameters: z.ZodObject) =>
  fieldsOf(parameters).map(({ field, about, schema, required }) => ({
    name: field,
    in: place,
    ...(required && { required }),
    ...about,
    schema,
  }));

const propertiesOf = (parameters: z.ZodObject) =>
  Object.fromEntries(
    fieldsOf(parameters).map(({ field, about, schema }) => [field, { ...about, ...schema }]),
  );

const schemas = {
  Album: object({
    album_id: { type: 'integer', description: "The album's public id." },
    artist: nullable('string'),
    album_name: nullable('string'),
    genre: nullable('string'),
    release_year: nullable('integer'),
    similarity_score: { type: 'number', description: 'Cosine of the embeddings, -1 to 1.' },
    pitchfork_score: { ...nullable('number'), description: '0.0 to 10.0.' },
    best_new_music: { type: 'boolean' },
    image_url: { type: 'string', description: 'Path of the cover on this server.' },
    cover_url_original: nullable('string'),
  }),
  Identified: object({
    album_id: { type: 'integer' },
    artist: nullable('string'),
    album_name: nullable('string'),
    points: {
      type: 'integer',
      description: 'Number of features of the cover that were found in the picture.',
    },
    outline: {
      type: 'array',
      minItems: 4,
      maxItems: 4,
      items: { type: 'array', minItems: 2, maxItems: 2, items: { type: 'number' } },
      description:
        "Corners of the cover, clockwise from its top left: x and y as fractions of the upright picture's width and height; outside 0 to 1 where the cover extends beyond the picture.",
    },
    alternatives: {
      type: 'array',
      items: { type: 'integer' },
      description:
        'Albums whose covers fit the same place almost as well: other editions, or singles with the same artwork.',
    },
  }),
  SearchResponse: object(
    {
      success: { const: true },
      query_type: { enum: ['image', 'text', 'similar'] },
      identified: {
        type: ['array', 'null'],
        items: ref('Identified'),
        description:
          'Albums recognised in the picture, largest first, regardless of the filters; empty: none of this catalog; null: recognition did not run (image searches only).',
      },
      total_results: { type: 'integer' },
      results: { type: 'array', items: ref('Album') },
      notes: {
        type: 'array',
        items: { type: 'string' },
        description:
          'Notes on the filters, such as a genre that no album has; absent if there are none.',
      },
      query: { type: 'string', description: 'The text (text searches only).' },
      similar_to: {
        type: 'integer',
        description: 'The album that the results are similar to (similar searches only).',
      },
    },
    ['success', 'query_type', 'total_results', 'results'],
  ),
  Problem: object(
    {
      type: { type: 'string' },
      title: { type: 'string' },
      status: { type: 'integer' },
      code: { enum: Object.keys(problems) },
      detail: { type: 'string', description: 'What was wrong with this request, in one sentence.' },
      instance: { type: 'string' },
      request_id: { type: 'string', description: 'The same as in X-Request-Id and in the log.' },
      parameters: {
        type: 'array',
        items: { type: 'string' },
        description: 'Names of the invalid parameters, if the error is about parameters.',
      },
    },
    ['type', 'title', 'status', 'code', 'detail', 'instance', 'request_id'],
  ),
};

const systemPaths = {
  '/': {
    get: {
      summary: 'What this is',
      security: [],
      responses: {
        200: json(
          'Name, version and endpoints. (Clients that prefer HTML get the page.)',
          object({
            name: { type: 'string' },
            version: { type: 'string' },
            albums_indexed: { type: 'integer' },
            model: { type: 'string' },
            starter_set: { type: 'boolean' },
            endpoints: { type: 'array', items: { type: 'string' } },
          }),
        ),
        ...problemResponses(...assetCodes),
      },
    },
  },
  '/health': {
    get: {
      summary: 'Whether the process is alive, and what it has loaded',
      security: [],
      responses: {
        200: json(
          'Alive.',
          object({
            status: { const: 'healthy' },
            models_loaded: object({
              image_encoder: { type: 'boolean' },
              text_encoder: { type: 'boolean' },
              index: { type: 'boolean' },
              catalog: { type: 'boolean' },
            }),
            albums_indexed: {
              ...nullable('integer'),
              description: 'null until the index is loaded.',
            },
            identification: {
              ...nullable('boolean'),
              description: 'Whether albums are recognised in pictures; null until that is known.',
            },
            catalog_issues: {
              type: ['array', 'null'],
              items: { type: 'string' },
              description: 'Problems with the metadata as a whole, such as a missing column.',
            },
            starter_set: nullable('boolean'),
            uptime_seconds: { type: 'number' },
            response_time_ms: { type: 'number' },
          }),
        ),
      },
    },
  },
  '/ready': {
    get: {
      summary: 'Whether everything is loaded and consistent',
      security: [],
      responses: {
        200: json(
          'Ready.',
          object({ status: { const: 'ready' }, albums_indexed: nullable('integer') }),
        ),
        ...problemResponses('starting'),
      },
    },
  },
  '/openapi.json': {
    get: {
      summary: 'This document',
      security: [],
      responses: { 200: json('OpenAPI 3.1.', { type: 'object' }) },
    },
  },
  '/docs': {
    get: {
      summary: 'This document as an interactive page',
      security: [],
      responses: { 200: { description: 'A page.', content: { 'text/html': {} } } },
    },
  },
};

const catalogPaths = {
  '/api/stats': {
    get: {
      summary: 'Statistics of the catalog',
      responses: {
        200: json(
          'The statistics.',
          object({
            total_albums: { type: 'integer' },
            top_genres: {
              type: 'array',
              maxItems: 10,
              items: object({ genre: { type: 'string' }, albums: { type: 'integer' } }),
            },
            first_year: nullable('integer'),
            last_year: nullable('integer'),
            mean_pitchfork_score: nullable('number'),
            best_new_music: { type: 'integer' },
          }),
        ),
        ...problemResponses('unauthorized', 'assets_missing', 'catalog_unreadable'),
      },
    },
  },
  '/api/genres': {
    get: {
      summary: 'Every genre, with its number of albums',
      responses: {
        200: json(
          'Most albums first.',
          object({
            genres: {
              type: 'array',
              items: object({ genre: { type: 'string' }, albums: { type: 'integer' } }),
            },
          }),
        ),
        ...problemResponses('unauthorized', 'assets_missing', 'catalog_unreadable'),
      },
    },
  },
  '/api/year-range': {
    get: {
      summary: 'First and last release year',
      responses: {
        200: json(
          'The years.',
          object({ year_min: nullable('integer'), year_max: nullable('integer') }),
        ),
        ...problemResponses('unauthorized', 'assets_missing', 'catalog_unreadable'),
      },
    },
  },
  '/api/albums/{album_id}': {
    get: {
      summary: 'One album',
      parameters: parametersIn('path', albumParameters),
      responses: {
        200: json(
          'The album.',
          object({
            album_id: { type: 'integer' },
            artist: nullable('string'),
            album_name: nullable('string'),
            genre: nullable('string'),
            label: nullable('string'),
            release_year: nullable('integer'),
            pitchfork_score: nullable('number'),
            best_new_music: { type: 'boolean' },
            reviewer: nullable('string'),
            image_url: { type: 'string' },
            cover_url_original: nullable('string'),
            identifiable: {
              ...nullable('boolean'),
              description:
                'Whether the cover has enough features to be recognised in a picture; null: unknown, or recognition is off.',
            },
          }),
        ),
        ...problemResponses(
          'unauthorized',
          'invalid_parameter',
          'album_not_found',
          'assets_missing',
          'catalog_unreadable',
        ),
      },
    },
  },
  '/api/image/{album_id}': {
    get: {
      summary: 'The cover of an album',
      security: [],
      parameters: [
        ...parametersIn('path', albumParameters),
        ...parametersIn('query', thumbnailParameters),
      ],
      responses: {
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
    },
  },
};

const searchPaths = ({ limits }: Config) => ({
  '/api/search-by-image': {
    post: {
      summary: 'Search by picture',
      description: `${formatList} of at most ${String(limits.uploadBytes / 1024 / 1024)} MB: the field \`file\` of a form, or the raw body. \`k\` and the filters may be in the form or in the query string.`,
      parameters: parametersIn('query', imageParameters(limits.k)),
      requestBody: {
        required: false,
        content: {
          'multipart/form-data': {
            schema: object(
              {
                file: { type: 'string', format: 'binary' },
                ...propertiesOf(imageParameters(limits.k)),
              },
              [],
            ),
          },
          'image/*': { schema: { type: 'string', format: 'binary' } },
        },
      },
      responses: {
        200: json(
          'The albums that were recognised, then the others, most similar first.',
          ref('SearchResponse'),
        ),
        ...problemResponses(
          'unauthorized',
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
        ),
      },
    },
  },
  '/api/uploads': {
    post: {
      summary: 'A presigned form for uploading a picture to S3',
      description: `For pictures too large for a request (AWS Lambda accepts about 4.4 MB). Send \`fields\` and then the picture as \`file\` to \`url\`, then search by \`upload_id\`. At most ${String(limits.uploadBytes / 1024 / 1024)} MB.`,
      requestBody: {
        required: false,
        content: {
          'application/json': {
            schema: object(propertiesOf(uploadParameters), []),
          },
        },
      },
      responses: {
        201: json(
          'The form.',
          object({
            upload_id: { type: 'string', format: 'uuid' },
            url: { type: 'string', format: 'uri' },
            fields: { type: 'object', additionalProperties: { type: 'string' } },
            max_bytes: { type: 'integer' },
            expires_in: { type: 'integer', description: 'Seconds.' },
          }),
        ),
        ...problemResponses(
          'unauthorized',
          'invalid_parameter',
          'invalid_request',
          'uploads_disabled',
        ),
      },
    },
  },
  '/api/albums/{album_id}/similar': {
    get: {
      summary: 'Albums with similar covers',
      parameters: [
        ...parametersIn('path', albumParameters),
        ...parametersIn('query', similarParameters(limits.k)),
      ],
      responses: {
        200: json(
          'The albums, most similar first, without the album itself.',
          ref('SearchResponse'),
        ),
        ...problemResponses('unauthorized', 'invalid_parameter', 'album_not_found', ...assetCodes),
      },
    },
  },
  '/api/search-by-text': {
    get: {
      summary: 'Search by text',
      parameters: parametersIn('query', textParameters(limits.k)),
      responses: {
        200: json('The albums, most similar first.', ref('SearchResponse')),
        ...problemResponses('unauthorized', 'invalid_parameter', 'busy', ...assetCodes),
      },
    },
  },
});

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
  paths: { ...searchPaths(config), ...catalogPaths, ...systemPaths },
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
