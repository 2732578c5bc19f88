import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { starterPaths } from '../../lib/assets/local-assets.ts';

/** A request in a table of test cases, which every `Door` sends in its own form. */
export interface TestRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers?: Record<string, string>;
  body?: Buffer;
}

export interface TestResponse {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: Buffer;
}

/** The repository's root, where tests are run. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The starter set prepared by the set-up. */
export const starter = starterPaths(join(root, 'models', 'starter'));

/** The rows of the starter catalog's metadata file. */
export const starterRows = () =>
  JSON.parse(readFileSync(starter.metadataPath, 'utf8')) as Record<string, unknown>[];

export const starterIds = () => starterRows().map((row) => row['local_id'] as number);

export const coverFile = (id: number): Buffer =>
  readFileSync(join(starter.imagesDir, `album_${String(id)}.jpg`));

export const get = (path: string, headers: Record<string, string> = {}): TestRequest => ({
  method: 'GET',
  path,
  headers,
});

type Part = [name: string, value: string | Buffer, fileName?: string, type?: string];

const boundary = 'test-boundary-7f3a';

/** A multipart form, byte for byte. */
export function form(path: string, ...parts: Part[]): TestRequest {
  const chunks = parts.flatMap(([name, value, fileName, type]) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`,
    fileName === undefined
      ? ''
      : `; filename="${fileName}"\r\nContent-Type: ${type ?? 'image/jpeg'}`,
    '\r\n\r\n',
    value,
    '\r\n',
  ]);
  return {
    method: 'POST',
    path,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat(
      [...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk as string)),
    ),
  };
}

/** A search by picture as the page sends it. */
export const upload = (file: Buffer, query = '', name = 'cover.jpg', type = 'image/jpeg') =>
  form(`/api/search-by-image${query}`, ['file', file, name, type]);
