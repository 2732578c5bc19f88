import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { AppError } from '../errors.ts';
import type { RemoteCovers } from '../assets/covers.ts';

/** Lifetime of a signed URL, and how long the redirect to it may be cached, in seconds. */
const signedSeconds = 300;
const redirectSeconds = 240;

/**
 * Sends a cover from S3, with ETag, 304, Range and HEAD; redirects to a signed URL if it is too large for a response.
 *
 * @param cacheControl of the cover itself
 * @returns `false` if there is no such cover; nothing has been sent then
 * @throws AppError `range_not_satisfiable`, `precondition_failed` or `storage_unavailable`
 */
export async function sendRemoteCover(
  covers: RemoteCovers,
  albumId: number,
  door: { request: Request; response: Response; maxResponseBytes: number; cacheControl: string },
): Promise<boolean> {
  const { request, response, maxResponseBytes, cacheControl } = door;
  const ifNoneMatch = request.get('if-none-match');
  const cover = await covers.open(albumId, {
    head: request.method === 'HEAD',
    ifMatch: request.get('if-match'),
    ifUnmodifiedSince: request.get('if-unmodified-since'),
    ifNoneMatch,
    ifModifiedSince: ifNoneMatch === undefined ? request.get('if-modified-since') : undefined,
    range: request.get('range'),
    ifRange: request.get('if-range'),
  });
  if (cover === null) return false;
  if (cover === 'not_modified') {
    if (ifNoneMatch !== undefined && !ifNoneMatch.includes(',')) response.set('ETag', ifNoneMatch);
    response.status(304).set('Cache-Control', cacheControl).end();
    return true;
  }
  if (cover.length > maxResponseBytes && request.method !== 'HEAD') {
    if (cover.body && !Buffer.isBuffer(cover.body)) cover.body.destroy();
    response
      .set('Cache-Control', `private, max-age=${String(redirectSeconds)}`)
      .redirect(await covers.signedUrl(albumId, signedSeconds));
    return true;
  }
  response.status(cover.status).set({
    'Content-Type': 'image/jpeg',
    'Content-Length': String(cover.length),
    'Cache-Control': cacheControl,
    'Accept-Ranges': 'bytes',
    ...(cover.etag !== undefined && { ETag: cover.etag }),
    ...(cover.lastModified && { 'Last-Modified': cover.lastModified.toUTCString() }),
    ...(cover.contentRange !== undefined && { 'Content-Range': cover.contentRange }),
  });
  if (cover.body === undefined || Buffer.isBuffer(cover.body)) response.end(cover.body);
  else await passOn(cover.body, response);
  return true;
}

/** Streams a large cover. If it breaks off, cutting the connection is the only way to report that. */
async function passOn(body: Readable, response: Response): Promise<void> {
  try {
    await pipeline(body, response);
  } catch (cause) {
    const clientLeft = (cause as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE';
    if (!clientLeft)
      response.locals['error'] = new AppError(
        'storage_unavailable',
        'The transfer of the cover from S3 was interrupted.',
        { cause },
      );
    response.destroy();
  }
}
