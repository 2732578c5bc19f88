import {
  clipName,
  compactName,
  featuresName,
  indexName,
  metadataName,
} from '../../lib/assets/assets.ts';

// Keys in the assets bucket below the prefix; `*` stands for any characters.
const index = `models/${indexName}`;
const metadata = [`models/${metadataName}`, `models/${compactName}`];
/** Read where IDENTIFY is `true`. */
const features = `models/${featuresName}`;
/** A tower's files have one of several layouts (`lib/clip/model-files.ts`), all of them in this folder. */
const model = `models/${clipName}/*`;
const covers = 'images/*';

export type Route = `${'GET' | 'HEAD' | 'POST'} /${string}`;

/** One Lambda function: what it answers, what it gets, and what it may touch. */
export interface Endpoint {
  /** Its entry point is `functions/<name>.ts`. */
  readonly name: string;
  readonly routes: readonly Route[];
  /** Memory in MB; the share of processors follows it (1,769 MB is one). A new account stops at 3,008. */
  readonly memoryMb: number;
  /** Below the 30 s for which an HTTP API waits, so that the function's own answer arrives. */
  readonly timeoutSeconds: number;
  /** `/tmp` in MB, where files from S3 are kept. 512 MB are free of charge. */
  readonly storageMb: number;
  /** An alarm says so when the slowest hundredth of the invocations takes longer, in ms. */
  readonly slowMs: number;
  /** How many may run at a time; the next one is throttled. The sum leaves 100 of an account's 1,000. */
  readonly reservedConcurrency: number;
  /** Patterns of keys that it reads in the assets bucket, below the prefix. */
  readonly reads: readonly string[];
  /** What it does with objects in the uploads bucket. */
  readonly uploads?: readonly ('GetObject' | 'PutObject' | 'DeleteObject')[];
}

/** What an endpoint needs that loads no model. */
const light = { memoryMb: 512, timeoutSeconds: 10, storageMb: 512, slowMs: 5_000 };

/** What a search needs: a tower, the index and the metadata in memory and, as files, in `/tmp`; with words both towers. */
const search = { memoryMb: 3008, timeoutSeconds: 29, storageMb: 1024, slowMs: 10_000 };

/** Every function. A new endpoint is a new row. */
export const endpoints = [
  {
    name: 'root',
    routes: ['GET /', 'GET /assets/{name}', 'GET /openapi.json', 'GET /docs', 'GET /docs/{proxy+}'],
    ...light,
    reservedConcurrency: 20,
    reads: [index, ...metadata],
  },
  {
    name: 'health',
    routes: ['GET /health', 'GET /ready'],
    ...light,
    reservedConcurrency: 10,
    reads: [index, ...metadata],
  },
  {
    name: 'search-by-image',
    routes: ['POST /api/search-by-image'],
    ...search,
    reservedConcurrency: 50,
    reads: [index, ...metadata, features, model],
    uploads: ['GetObject', 'DeleteObject'],
  },
  {
    name: 'search-by-text',
    routes: ['GET /api/search-by-text'],
    ...search,
    reservedConcurrency: 50,
    reads: [index, ...metadata, model],
  },
  {
    name: 'albums',
    routes: [
      'GET /api/albums',
      'GET /api/suggest',
      'GET /api/albums/{album_id}',
      'GET /api/albums/{album_id}/similar',
    ],
    ...search, // similar albums may be asked for with words, which need the tower for texts
    memoryMb: 1536,
    reservedConcurrency: 50,
    reads: [index, ...metadata, model],
  },
  {
    name: 'image',
    routes: ['GET /api/image/{album_id}', 'HEAD /api/image/{album_id}'],
    ...light,
    memoryMb: 1024,
    reservedConcurrency: 100,
    reads: [...metadata, covers],
  },
  {
    name: 'stats',
    routes: ['GET /api/stats', 'GET /api/genres', 'GET /api/year-range'],
    ...light,
    reservedConcurrency: 20,
    reads: [index, ...metadata],
  },
  {
    name: 'uploads',
    routes: ['POST /api/uploads'],
    ...light,
    reservedConcurrency: 20,
    reads: [],
    uploads: ['PutObject'],
  },
] as const satisfies readonly Endpoint[];

export type EndpointName = (typeof endpoints)[number]['name'];
