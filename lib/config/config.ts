import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { parseApiKeys } from './api-keys.ts';
import { usableCores } from '../concurrency/cores.ts';
import { lanceUri } from '../lance/lance-location.ts';
import { integer, parseFields } from './fields.ts';

const matching = (pattern: RegExp, expected: string) =>
  z.string().trim().regex(pattern).describe(expected);
const text = (expected: string) => z.string().trim().min(1).describe(expected);
const folder = text('a folder');
const httpUrl = z.url({ protocol: /^https?$/ }).describe('an http(s) URL');

/** Number of best results that are available by paging. */
export const maxDepth = 200;

const flag = z
  .enum(['true', 'false'])
  .transform((word) => word === 'true')
  .describe('true or false');

const s3Uri = matching(
  /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/.*)?$/,
  's3://bucket or s3://bucket/prefix',
);

/** Every variable that the service reads, with its default. docs/configuration.md has the same table. */
const environment = z.object({
  PORT: integer(0, 65_535).default(7860),
  HOST: text('a host name or address').default('0.0.0.0'),
  METRICS_PORT: integer(0, 65_535).optional(),
  MODELS_DIR: folder.default('models'),
  IMAGES_DIR: folder.default('images'),
  STARTER_DIR: folder.default('models/starter'),
  WEB_DIR: folder.default('dist/web'),
  BASE_PATH: matching(/^(\/[\w.~-]+)+\/?$/, 'a path such as /prod').default(''),
  ASSETS_URI: s3Uri.optional(),
  CATALOG_URI: matching(lanceUri, 'lance:///folder or lance+s3://bucket/prefix').optional(),
  UPLOADS_URI: s3Uri.optional(),
  CACHE_DIR: folder.default(join(tmpdir(), 'shazam-visual')),
  CDN_URL: httpUrl.optional(),
  S3_PATH_STYLE: flag.optional(),
  CLIP_DTYPE: z.enum(['fp32', 'fp16', 'q8']).describe('fp32, fp16 or q8').optional(),
  HF_ENDPOINT: httpUrl.default('https://huggingface.co'),
  HF_TOKEN: text('a token').optional(),
  IDENTIFY: flag.optional(),
  ENCODER_WORKERS: integer(1, 64).optional(),
  ENCODER_THREADS: integer(1, 256).optional(),
  MAX_UPLOAD_MB: integer(1, 1024).default(10),
  MAX_IMAGE_MEGAPIXELS: integer(1, 1000).default(64),
  MAX_K: integer(1, maxDepth).default(50),
  MAX_WAITING_SEARCHES: integer(1, 10_000).default(16),
  MAX_UPLOADS: integer(1, 10_000).default(64),
  UPLOAD_IDLE_SECONDS: integer(1, 3600).default(20),
  UPLOAD_SECONDS: integer(1, 3600).default(120),
  QUERY_CACHE: integer(0, 1_000_000).default(1000),
  SHUTDOWN_SECONDS: integer(1, 3600).default(25),
  RELOAD_SECONDS: integer(0, 86_400).default(10),
  API_KEYS: z.string().optional(), // read by parseApiKeys: no error may repeat it
  RATE_LIMIT_PER_MINUTE: integer(0, 1_000_000).default(0),
  TRUST_PROXY_HOPS: integer(0, 10).default(0),
  CORS_ORIGINS: text('* or a comma-separated list of origins').default('*'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .describe('fatal, error, warn, info, debug, trace or silent')
    .default('info'),
});

/** A URL or path without trailing slashes. */
export function withoutSlash(text: string): string {
  let end = text.length;
  while (text[end - 1] === '/') end -= 1;
  return text.slice(0, end);
}

export type Config = ReturnType<typeof loadConfig>;

/**
 * Reads and checks the environment once. An empty variable counts as unset.
 *
 * @throws AppError `invalid_config`, naming each wrong variable, its value and what was expected.
 */
export function loadConfig(env: Record<string, string | undefined> = process.env) {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const value = parseFields(environment, given, 'invalid_config');
  return Object.freeze({
    server: Object.freeze({
      port: value.PORT,
      host: value.HOST,
      /** Port of `/metrics`; `undefined`: the main port. */
      metricsPort: value.METRICS_PORT,
      /** Prefix of all paths, e.g. `/prod`, or empty. No trailing slash. */
      basePath: withoutSlash(value.BASE_PATH),
      /** Time for requests in flight to finish after SIGTERM, in seconds. */
      shutdownSeconds: value.SHUTDOWN_SECONDS,
      /** Interval at which the manifest is checked for new files, in seconds; 0: never. */
      reloadSeconds: value.RELOAD_SECONDS,
      /** Number of reverse proxies whose `X-Forwarded-For` is trusted. */
      trustProxyHops: value.TRUST_PROXY_HOPS,
      /** Requests to `/api/` need one of these keys; if empty, it is open to all. */
      apiKeys: value.API_KEYS === undefined ? [] : parseApiKeys(value.API_KEYS, 'API_KEYS'),
      /** Requests a minute per key or client address; 0 is no limit. */
      rateLimitPerMinute: value.RATE_LIMIT_PER_MINUTE,
      /** `*`, or the origins that a browser may call from. */
      corsOrigins:
        value.CORS_ORIGINS === '*'
          ? '*'
          : Object.freeze(value.CORS_ORIGINS.split(',').map((origin) => origin.trim())),
    }),
    assets: Object.freeze({
      modelsDir: value.MODELS_DIR,
      imagesDir: value.IMAGES_DIR,
      starterDir: value.STARTER_DIR,
    }),
    /** A LanceDB table of albums, instead of index and metadata in files. */
    catalogUri: value.CATALOG_URI,
    /** Folder of the built page. */
    webDir: value.WEB_DIR,
    s3: Object.freeze({
      /** `s3://bucket/prefix` that holds `models/` and `images/`, instead of the two folders. */
      assetsUri: value.ASSETS_URI,
      /** `s3://bucket/prefix` for uploads that are too large for a request. */
      uploadsUri: value.UPLOADS_URI,
      /** Folder for files downloaded from S3. */
      cacheDir: value.CACHE_DIR,
      /** URL of another S3 implementation; `undefined`: AWS. */
      endpoint: given['AWS_ENDPOINT_URL_S3'] ?? given['AWS_ENDPOINT_URL'],
      /** Buckets in the path instead of the host name: a custom endpoint usually has no DNS name for each. */
      pathStyle:
        value.S3_PATH_STYLE ?? ('AWS_ENDPOINT_URL_S3' in given || 'AWS_ENDPOINT_URL' in given),
    }),
    /** The Hugging Face Hub, for the command line. No trailing slash. */
    hub: Object.freeze({ endpoint: withoutSlash(value.HF_ENDPOINT), token: value.HF_TOKEN }),
    /** Base URL of the covers on a CDN: the image endpoint redirects to it. No trailing slash. */
    cdnUrl: value.CDN_URL && withoutSlash(value.CDN_URL),
    /** `undefined`: the first present of fp32, fp16, q8. */
    dtype: value.CLIP_DTYPE,
    /** Whether albums are recognised in pictures, if the set has features; `undefined`: not on Lambda. */
    identify: value.IDENTIFY,
    /** Workers that encode pictures, and threads of each; `undefined`: by the number of cores. */
    encoder: Object.freeze({ workers: value.ENCODER_WORKERS, threads: value.ENCODER_THREADS }),
    limits: Object.freeze({
      uploadBytes: value.MAX_UPLOAD_MB * 1024 * 1024,
      imagePixels: value.MAX_IMAGE_MEGAPIXELS * 1_000_000,
      /** Largest k that a search accepts. */
      k: value.MAX_K,
      /** Most pictures, and most texts, being encoded or queued at a time. */
      waitingSearches: value.MAX_WAITING_SEARCHES,
      /** Uploads read at a time. */
      uploads: value.MAX_UPLOADS,
      /** An upload that takes longer than this is aborted, in seconds. */
      uploadSeconds: value.UPLOAD_SECONDS,
      /** An upload that sends nothing for this long is aborted, in seconds. */
      uploadIdleSeconds: value.UPLOAD_IDLE_SECONDS,
    }),
    /** Number of queries whose embeddings are cached. */
    queryCache: value.QUERY_CACHE,
    logLevel: value.LOG_LEVEL,
  });
}

/**
 * Enlarges libuv's thread pool before it starts: otherwise file access would queue behind the pictures that the workers
 * decode, two each.
 */
export function sizeThreadPool(): void {
  process.env['UV_THREADPOOL_SIZE'] ??= String(4 + 3 * usableCores());
}

/**
 * Enlarges LanceDB's thread pool before it starts: on two cores it has one thread, with which building a text index waits
 * for itself without end (github.com/lancedb/lancedb/issues/3568).
 */
export function sizeLancePool(): void {
  process.env['LANCE_CPU_THREADS'] ??= String(Math.max(4, usableCores()));
  // Otherwise it writes warnings to standard error that nobody can act on.
  process.env['LANCE_INCLUDE_VECTOR_CENTROIDS'] ??= 'false';
  process.env['LANCEDB_LOG'] ??= 'error';
}
