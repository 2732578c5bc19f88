import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Request } from 'express';
import fc from 'fast-check';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { splitRows } from '../../pipeline/indexing/metadata-file.ts';
import { readTokenizer } from '../../lib/clip/tokenizer.ts';
import { loadConfig } from '../../lib/config/config.ts';
import { isAppError } from '../../lib/errors.ts';
import {
  imageParameterReader,
  readAlbumId,
  readThumbnailSize,
  readUploadType,
  textParameterReader,
} from '../../lib/http/parameters.ts';
import { readUpload } from '../../lib/http/upload.ts';
import { decodeForModel } from '../../lib/imaging/raster.ts';
import { sniffImage } from '../../lib/imaging/sniff.ts';
import { readCsvCatalog } from '../../pipeline/csv-import/csv-catalog.ts';
import { Journal } from '../../pipeline/indexing/journal.ts';
import { readManifestFile } from '../../lib/assets/manifest.ts';
import { S3Folder } from '../../lib/assets/s3.ts';
import { readFaissHeader, whatFileIs } from '../../lib/vectors/file-header.ts';
import { VectorIndex } from '../../lib/vectors/vector-index.ts';

/**
 * Hostile inputs for a parser: texts of the words of its grammar, repeated, nested and truncated, and random texts.
 *
 * @param tokens words that are meaningful to the parser
 * @param length length of the long texts in characters
 */
export function hostileTexts(tokens: readonly string[], seed: number, length = 65_536): string[] {
  const word = fc.constantFrom(...tokens);
  const repeated = tokens.map((token) =>
    token.repeat(Math.ceil(length / Math.max(1, token.length))),
  );
  const pairs = fc
    .tuple(word, word)
    .map(([a, b]) => (a + b).repeat(Math.ceil(length / Math.max(1, a.length + b.length))));
  const framed = fc
    .tuple(word, word, word, word)
    .map(
      ([start, a, b, end]) => start + (a + b).repeat(Math.ceil(length / 8)).slice(0, length) + end,
    );
  const sentences = fc
    .array(fc.oneof(word, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 400 })
    .map((parts) => parts.join(''));
  return [
    ...repeated,
    ...fc.sample(pairs, { seed, numRuns: 40 }),
    ...fc.sample(framed, { seed, numRuns: 60 }),
    ...fc.sample(sentences, { seed, numRuns: 100 }),
  ];
}

/** Length of texts read from files, in characters: quadratic algorithms do not finish on them. */
const longFile = 2 ** 18;

/** Reads each input. Errors with a code are accepted, others are thrown. @returns how many were tried and refused */
export async function tryAll<Input>(
  inputs: readonly Input[],
  read: (input: Input) => unknown,
  isRefusal: (error: unknown) => boolean = isAppError,
): Promise<{ tried: number; refused: number }> {
  let refused = 0;
  for (const input of inputs)
    try {
      await read(input);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused += 1;
    }
  return { tried: inputs.length, refused };
}

const isSyntaxError = (error: unknown) => error instanceof SyntaxError || isAppError(error);

/** Runs a test with the path of a file in a temporary folder. */
async function withFile<T>(use: (path: string, folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hostile-'));
  try {
    return await use(join(folder, 'file'), folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const binary = (text: string) => Buffer.from(text, 'latin1');

const magic = [
  '\xff\xd8\xff',
  '\xff\xe1',
  '\x89PNG\r\n\x1a\n',
  'IHDR',
  'IDAT',
  'GIF89a',
  '\x21\xf9',
  'RIFF',
  'WEBP',
  'VP8X',
  'ftyp',
  'avif',
  'mif1',
  'heic',
  'meta',
  'II*\0',
  '\0',
  '\xff',
];
const xml = [
  '<!---->',
  '<!--',
  '-->',
  '<?xml',
  '?>',
  '<!DOCTYPE ',
  '<!DOCTYPE a[',
  ']',
  '>',
  '<svg',
  ' ',
  '\n',
  '\uFEFF',
];

/** Detection of a picture's format by its first bytes. */
export const sniffing = (seed: number) =>
  tryAll(hostileTexts([...magic, ...xml], seed, 4096), (text) => sniffImage(binary(text)));

/** Decoding of pictures. */
export const decoding = (seed: number) =>
  tryAll(hostileTexts(magic, seed, 16_384), (text) =>
    decodeForModel(binary(text), { frame: { size: 32, crop: 32, resize: 'shortest-edge' } }),
  );

/** Forms and raw bodies. */
export function uploads(seed: number) {
  const boundary = 'b';
  const tokens = [
    '--b',
    '--b--',
    '\r\n',
    '\r\n\r\n',
    '\n',
    'Content-Disposition: form-data; name="file"; filename="a"',
    'Content-Disposition: form-data; name="k"',
    'name="',
    "filename*=utf-8''%",
    ';',
    '"',
    '\\',
    ':',
    '%41',
    'Content-Type: image/jpeg',
    '--',
  ];
  const types = [
    `multipart/form-data; boundary=${boundary}`,
    'multipart/form-data',
    'image/jpeg',
    'application/json',
    'multipart/form-data; boundary="',
  ];
  const limits = { bytes: 1 << 20, idleSeconds: 5, seconds: 10 };
  return tryAll(hostileTexts(tokens, seed), (text) =>
    Promise.all(
      types.map((type) => {
        const headers: Record<string, string> = { 'content-type': type };
        const body = Readable.from([binary(`--b\r\n${text}`)]);
        const request = Object.assign(body, {
          headers,
          complete: true,
          get: (name: string) => headers[name.toLowerCase()],
        }) as unknown as Request;
        return readUpload(request, limits).catch((error: unknown) => {
          if (!isAppError(error)) throw error;
        });
      }),
    ),
  );
}

/** CSV files. */
export const csv = (seed: number) =>
  tryAll(
    [
      // invalid years, each of which is reported
      'artist,year,cover\n' + 'a,?,http://a/b\n'.repeat(300_000),
      ...hostileTexts(
        [
          'artist,cover\n',
          'cover',
          '"',
          '""',
          ',',
          ';',
          '\t',
          '|',
          '\n',
          '\r\n',
          '\uFEFF',
          'http://a/b',
          '1',
          '/',
          '%',
          ' ',
        ],
        seed,
        longFile,
      ),
    ],
    (text) => readCsvCatalog('list.csv', Buffer.from(text)),
  );

export const jsonTokens = [
  '[',
  ']',
  '{',
  '}',
  '"',
  '\\',
  '\\"',
  ':',
  ',',
  'NaN',
  '-Infinity',
  'null',
  '{"local_id":1}',
  '{"local_id": ',
  '{"columns":[],"data":[',
  '1e9',
  ' ',
  '\n',
  '\uFEFF',
  '\x1f\x8b',
];

/** Metadata files: JSON with NaN. */
export const metadata = (seed: number) =>
  withFile((path) => {
    const split = { columns: Array<string>(50_000).fill('a'), data: Array<number>(50_000).fill(0) };
    const texts = [JSON.stringify(split), ...hostileTexts(jsonTokens, seed, longFile)];
    return tryAll(texts, async (text) => {
      await writeFile(path, text);
      await Catalog.open(path);
    });
  });

/** Genre filters on a catalog with thousands of genres. */
export const genres = (seed: number) =>
  withFile(async (path) => {
    const genreOf = (id: number) => `Genre ${String(id)} `.padEnd(30, '-');
    const albums = Array.from({ length: 3000 }, (_, id) => ({
      local_id: id,
      genre: genreOf(id),
    }));
    await writeFile(path, JSON.stringify(albums));
    const catalog = await Catalog.open(path);
    return tryAll(hostileTexts(['a', 'Genre ', '-', ' / ', 'é', '1'], seed, 100), (text) =>
      catalog.notesOn({ genres: Array<string>(100).fill(text.slice(0, 100)) }),
    );
  });

/** Metadata files split into rows. */
export const rows = (seed: number) =>
  tryAll(hostileTexts(jsonTokens, seed, longFile), (text) => splitRows(text), isSyntaxError);

/** Query strings and form fields. */
export function parameters(seed: number) {
  const [text, image] = [textParameterReader(50), imageParameterReader(50)];
  const names = [
    'k',
    'query',
    'genre',
    'genre[]',
    'year_min',
    'score_min',
    'best_new_music',
    'upload_id',
    'offset',
    'size',
    'album_id',
    'content_type',
    'yearMin',
  ];
  return tryAll(
    hostileTexts(
      ['1', '.', '-', '+', 'e', ' ', '0', 'a', '\0', 'true', '[', ']', 'ı', 'é', '%'],
      seed,
    ),
    (value) => {
      for (const name of [...names, value])
        for (const read of [text, image, readAlbumId, readThumbnailSize, readUploadType])
          try {
            read({ query: 'x', album_id: '1', [name]: [value, value] });
            read({ query: 'x', album_id: '1', [name]: value });
          } catch (error) {
            if (!isAppError(error)) throw error;
          }
    },
  );
}

/** Environment variables. */
export const environment = (seed: number) =>
  tryAll(hostileTexts(['/', 's3://', 'a', '.', '-', 'http://', ',', '1', ' '], seed), (value) => {
    for (const name of [
      'ASSETS_URI',
      'CDN_URL',
      'HF_ENDPOINT',
      'BASE_PATH',
      'PORT',
      'CORS_ORIGINS',
    ])
      try {
        loadConfig({ [name]: value });
        S3Folder.open(`s3://bucket/${value}`, { pathStyle: true });
      } catch (error) {
        if (!isAppError(error)) throw error;
      }
  });

/** FAISS index files. */
export const indexes = (seed: number) =>
  withFile((path) =>
    tryAll(
      hostileTexts(
        [
          'IxFI',
          'IxMp',
          'IwFl',
          'IHNf',
          'IxPT',
          'ilar',
          '\0',
          '\x01',
          '\xff',
          '\0\0\x10\0',
          '\0\0\0\x20',
          'IB',
          '\x93NUMPY',
        ],
        seed,
      ),
      async (text) => {
        await writeFile(path, binary(text));
        await readFaissHeader(path);
        await whatFileIs(path);
        await VectorIndex.open(path);
      },
    ),
  );

/** Search texts. */
export async function queries(seed: number, modelDir: string) {
  const tokenizer = await readTokenizer(modelDir);
  return tryAll(
    hostileTexts(
      [
        'a',
        'A',
        "'",
        "'s",
        ' ',
        '\n',
        '1',
        '!',
        'Σ',
        'é',
        '\u0301',
        '😀',
        '\u200d',
        '中',
        '<|endoftext|>',
        '.',
      ],
      seed,
      1000,
    ),
    (text) => tokenizer.encode(text.slice(0, 1000), 77),
  );
}

/** Manifests, and journals of interrupted builds. */
export const manifests = (seed: number) =>
  withFile((path, folder) =>
    tryAll(
      hostileTexts([...jsonTokens, '"format":1', '"files"', '"position":0}'], seed, longFile),
      async (text) => {
        await writeFile(path, text);
        await readManifestFile(path).catch((error: unknown) => {
          if (!isAppError(error)) throw error;
        });
        const build = join(folder, 'out');
        const options = { dimension: 4, batch: 2, total: 4 };
        const plan = { metadata: 'x' };
        const begun = await Journal.open(build, plan, { ...options, resume: false, restart: true });
        await begun.close();
        await writeFile(join(build, '.index-build', 'skipped.jsonl'), text);
        const journal = await Journal.open(build, plan, {
          ...options,
          resume: true,
          restart: false,
        });
        await journal.close();
      },
    ),
  );
