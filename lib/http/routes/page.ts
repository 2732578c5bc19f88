import { extname } from 'node:path';
import { Router, type Request, type Response } from 'express';
import { lazy } from '../../concurrency/lazy.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly, routeNotFound } from '../middleware.ts';
import { bestEncoding, prefersHtml, readPageFiles, type PageFile } from '../page-files.ts';
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
  const [encoding, bytes] = bestEncoding(file, request) ?? ['identity', Buffer.alloc(0)];
  if (encoding !== 'identity') response.set('Content-Encoding', encoding);
  response.send(bytes); // Express adds the ETag and handles 304
}
