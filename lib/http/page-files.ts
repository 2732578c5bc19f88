import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Request } from 'express';

/** Suffixes of a page file's variants: as built, and compressed beside it. */
const suffixes = { br: '.br', gzip: '.gz', identity: '' } as const;
type Encoding = keyof typeof suffixes;

/** The contents of a page file by encoding. */
export type PageFile = ReadonlyMap<Encoding, Buffer>;

/**
 * Reads the built page once: a few files, 200 KB in all.
 *
 * @returns the files by path with slashes, e.g. `assets/app-3K7XQ2.js`; empty if there is no such folder
 */
export async function readPageFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  const bytes = new Map<string, Buffer>();
  for (const path of found) {
    const body = await readFile(join(folder, path)).catch(() => null); // null: a folder
    if (body) bytes.set(path.split(sep).join('/'), body);
  }
  const names = [...bytes.keys()].filter((name) => !/\.(br|gz)$/.test(name));
  return new Map(names.map((name) => [name, encodingsOf(name, bytes)]));
}

const encodingsOf = (name: string, bytes: ReadonlyMap<string, Buffer>): PageFile =>
  new Map(
    (Object.keys(suffixes) as Encoding[]).flatMap((encoding) => {
      const body = bytes.get(name + suffixes[encoding]);
      return body ? [[encoding, body] as const] : [];
    }),
  );

/** The smallest encoding of a file that the client accepts. */
export function bestEncoding(file: PageFile, request: Request): [Encoding, Buffer] | undefined {
  const wanted = request.acceptsEncodings([...file.keys()]);
  return [...file].find(([encoding]) => encoding === wanted) ?? [...file].at(-1);
}

/** Browsers prefer HTML; programs accept JSON, or anything. */
export const prefersHtml = (request: Request): boolean =>
  request.accepts(['json', 'html']) === 'html';
