import { readdir, readFile } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { Router, type Request, type Response } from 'express';
import { lazy } from '../../concurrency/lazy.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly, routeNotFound } from '../middleware.ts';
import { frameAncestors, pagePolicy } from '../page-policy.ts';

/** Names of assets contain a hash of their content, so the content under a name never changes. */
const forGood = 'public, max-age=31536000, immutable';

/** `GET /` for browsers, and the files that the page loads. If the page is not built, the root's router answers. */
export function pageRouter({ config }: HttpContext): Router {
  const files = lazy(() => readPageFiles(config.webDir));
  return Router()
    .get('/', async (request, response, next) => {
      response.vary('Accept');
      const page = prefersHtml(request) ? (await files()).get('index.html') : undefined;
      if (!page) {
        next();
        return;
      }
      response.type('html').set({
        'Cache-Control': 'no-cache', // cached, but revalidated each time
        'Content-Security-Policy': pagePolicy(frameAncestors),
        'Permissions-Policy': 'camera=(self)',
        'Referrer-Policy': 'same-origin',
      });
      send(page, request, response);
    })
    .get('/assets/:name', async (request, response, next) => {
      const name = `assets/${request.params.name}`;
      const file = (await files()).get(name);
      if (!file) {
        routeNotFound(request, response, next);
        return;
      }
      response.type(extname(name)).set('Cache-Control', forGood);
      send(file, request, response);
    })
    .all('/assets/:name', allowOnly('GET', 'HEAD'));
}

function send(file: PageFile, request: Request, response: Response): void {
  response.vary('Accept-Encoding');
  const encodings = (['br', 'gzip', 'identity'] as const).filter((one) => file[one]);
  const wanted = request.acceptsEncodings([...encodings]);
  const encoding = encodings.find((one) => one === wanted) ?? 'identity';
  if (encoding !== 'identity') response.set('Content-Encoding', encoding);
  response.send(file[encoding]); // Express adds the ETag and handles 304
}

/** Browsers prefer HTML; programs accept JSON, or anything. */
export const prefersHtml = (request: Request): boolean =>
  request.accepts(['json', 'html']) === 'html';

/** The contents of a page file by encoding: as built, and compressed beside it. */
interface PageFile {
  identity: Buffer;
  br: Buffer | undefined;
  gzip: Buffer | undefined;
}

/**
 * Reads the built page once: a few files, 200 KB in all.
 *
 * @returns the files by path with slashes, e.g. `assets/app-3K7XQ2.js`; empty if there is no such folder
 */
async function readPageFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  const bytes = new Map<string, Buffer>();
  for (const path of found) {
    const body = await readFile(join(folder, path)).catch(() => null); // null: a folder
    if (body) bytes.set(path.split(sep).join('/'), body);
  }
  const files = [...bytes].filter(([name]) => !/\.(br|gz)$/.test(name));
  return new Map(
    files.map(([name, identity]) => [
      name,
      { identity, br: bytes.get(`${name}.br`), gzip: bytes.get(`${name}.gz`) },
    ]),
  );
}
