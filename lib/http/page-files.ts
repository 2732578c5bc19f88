import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Request } from 'express';

/** How a file of the page lies in its folder: as it is, and compressed beside it. */
const suffixes = { br: '.br', gzip: '.gz', identity: '' } as const;
type Encoding = keyof typeof suffixes;

/** A file of the page, by the encodings in which it can be sent. */
export type PageFile = ReadonlyMap<Encoding, Buffer>;

/**
 * Reads the built page once: a few files, 200 KB in all.
 *
 * @returns by path with slashes, e.g. `assets/app-3K7XQ2.js`; none where there is no such folder
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

/** The smallest form of a file that the client takes. */
export function bestEncoding(file: PageFile, request: Request): [Encoding, Buffer] | undefined {
  const wanted = request.acceptsEncodings([...file.keys()]);
  return [...file].find(([encoding]) => encoding === wanted) ?? [...file].at(-1);
}

/** A browser names HTML first; a program names JSON, or anything. */
export const prefersHtml = (request: Request): boolean =>
  request.accepts(['json', 'html']) === 'html';
