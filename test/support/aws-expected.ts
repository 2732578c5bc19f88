/** The ARNs of the two buckets as `Synthesis` writes them. */
export const assets = '<BucketsAssets.Arn>';
export const uploads = '<BucketsUploads.Arn>';
const read = (...keys: string[]) =>
  `s3:GetObject on ${keys
    .map((key) => `${assets}/v1/${key}`)
    .sort()
    .join(' ')}`;
const tellMissing = (bucket: string, ...prefixes: string[]) =>
  `s3:ListBucket on ${bucket} if ${JSON.stringify({ StringLike: { 's3:prefix': prefixes } })}`;

const index = 'models/album_covers.index';
const metadata = ['models/valid_metadata_final.arrow', 'models/valid_metadata_final.json'];
const features = 'models/album_covers.features';
const clip = 'models/clip';
const readsFiles = [read(index, ...metadata), tellMissing(assets, 'v1/models/*')];
const light = { memory: 512, timeout: 10, storage: 512, slow: 5000 };
const search = { memory: 3008, timeout: 29, storage: 1024, slow: 10_000 };

/** The expected configuration of each function, independent of the table in the code: MB, s, MB and ms. */
export const expected = [
  {
    name: 'root',
    ...light,
    reserved: 20,
    routes: ['GET /', 'GET /assets/{name}', 'GET /docs', 'GET /docs/{proxy+}', 'GET /openapi.json'],
    allows: readsFiles,
  },
  {
    name: 'health',
    ...light,
    reserved: 10,
    routes: ['GET /health', 'GET /ready'],
    allows: readsFiles,
  },
  {
    name: 'search-by-image',
    ...search,
    reserved: 50,
    routes: ['POST /api/search-by-image'],
    allows: [
      read(index, ...metadata, features, `${clip}/*`),
      tellMissing(assets, 'v1/models/*'),
      `s3:DeleteObject+s3:GetObject on ${uploads}/uploads/*`,
      tellMissing(uploads, 'uploads/*'),
    ],
  },
  {
    name: 'search-by-text',
    ...search,
    reserved: 50,
    routes: ['GET /api/search-by-text'],
    allows: [read(index, ...metadata, `${clip}/*`), tellMissing(assets, 'v1/models/*')],
  },
  {
    name: 'albums',
    ...search,
    memory: 1536,
    reserved: 50,
    routes: [
      'GET /api/albums',
      'GET /api/albums/{album_id}',
      'GET /api/albums/{album_id}/similar',
      'GET /api/suggest',
    ],
    allows: [read(index, ...metadata, `${clip}/*`), tellMissing(assets, 'v1/models/*')],
  },
  {
    name: 'image',
    ...light,
    memory: 1024,
    reserved: 100,
    routes: ['GET /api/image/{album_id}', 'HEAD /api/image/{album_id}'],
    allows: [read(...metadata, 'images/*'), tellMissing(assets, 'v1/models/*', 'v1/images/*')],
  },
  {
    name: 'stats',
    ...light,
    reserved: 20,
    routes: ['GET /api/genres', 'GET /api/stats', 'GET /api/year-range'],
    allows: readsFiles,
  },
  {
    name: 'uploads',
    ...light,
    reserved: 20,
    routes: ['POST /api/uploads'],
    allows: [`s3:PutObject on ${uploads}/uploads/*`],
  },
];
