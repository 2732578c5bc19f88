import { Router, type Request, type Response } from 'express';
import { AppError, isAppError } from '../../errors.ts';
import { Thumbnails, type ThumbnailFormat, type ThumbnailSize } from '../../imaging/thumbnails.ts';
import {
  coverFileIn,
  coverName,
  findCover,
  type CoverOwner,
  type Covers,
} from '../../assets/covers.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { readAlbumId, readThumbnailSize } from '../parameters.ts';
import { sendRemoteCover } from '../remote-cover.ts';

const path = '/api/image/:album_id';

/** The cover of an id does not change: it may be cached for a day. */
const cacheControl = 'public, max-age=86400';

/**
 * `GET /api/image/{album_id}`: the cover, with ETag, 304, Range and HEAD, or a redirect to the CDN; with `?size=`, a
 * thumbnail of it.
 */
export function imageRouter({ config, services, maxResponseBytes }: HttpContext): Router {
  const thumbnails = new Thumbnails();

  /** Whether the album or only its cover is missing. Loads the catalog only to find out. */
  const absence = async (id: number): Promise<AppError> =>
    (await services.corpus.album(id))
      ? new AppError('cover_not_found', `The cover of album ${String(id)} is missing.`)
      : new AppError('album_not_found', `No album has the id ${String(id)}.`);

  return Router()
    .get(path, async (request, response) => {
      const id = readAlbumId(request.params);
      const size = readThumbnailSize(request.query);
      const { cdnUrl } = config;
      if (size === undefined && cdnUrl !== undefined) {
        if (!(await services.corpus.album(id))) throw await absence(id);
        response.set('Cache-Control', cacheControl).redirect(`${cdnUrl}/${coverName(id)}`);
        return;
      }
      const { covers } = await services.assets();
      // Only in a local folder may a cover have the metadata's file name.
      const album =
        covers.kind === 'folder' ? await services.corpus.album(id) : { id, filename: null };
      if (!album) throw await absence(id);
      const send =
        size !== undefined
          ? sendThumbnail({ covers, thumbnails, album, size }, request, response)
          : covers.kind === 'folder'
            ? sendFile(response, covers.dir, await coverFileIn(covers.dir, album))
            : sendRemoteCover(covers, id, { request, response, maxResponseBytes, cacheControl });
      if (!(await send)) throw await absence(id);
    })
    .all(path, allowOnly('GET', 'HEAD'));
}

/** @returns whether the file exists */
const sendFile = (response: Response, root: string, name: string | null): Promise<boolean> =>
  new Promise((resolve, reject) => {
    if (name === null) {
      resolve(false);
      return;
    }
    response.sendFile(
      name,
      { root, cacheControl: false, headers: { 'Cache-Control': cacheControl } },
      (error?: Error & { status?: number }) => {
        // once the response has started, an error means that the client has disconnected
        if (!error || response.headersSent) resolve(true);
        else if (error.status === 404) resolve(false);
        else reject(error);
      },
    );
  });

/** @returns `false` if there is no such cover */
async function sendThumbnail(
  what: { covers: Covers; thumbnails: Thumbnails; album: CoverOwner; size: ThumbnailSize },
  request: Request,
  response: Response,
): Promise<boolean> {
  const { covers, thumbnails, album, size } = what;
  const cover = await findCover(covers, album);
  if (!cover) return false;
  const format = bestFormat(request);
  response.vary('Accept').set({
    'Cache-Control': cacheControl,
    ETag: `"${cover.version}-${String(size)}-${format}"`,
  });
  if (request.fresh) {
    response.status(304).end();
    return true;
  }
  const key = `${String(album.id)} ${cover.version}`;
  const bytes = await thumbnails.get(key, { size, format }, cover.read).catch((error: unknown) => {
    if (isAppError(error) && error.code === 'unreadable_image')
      throw new AppError('cover_not_found', `The cover of album ${String(album.id)} is damaged.`, {
        cause: error,
      });
    throw error;
  });
  response.type(`image/${format}`).send(bytes);
  return true;
}

/** WebP if the browser accepts it, before AVIF, which takes ten times longer to encode. */
function bestFormat(request: Request): ThumbnailFormat {
  const accept = request.get('accept') ?? '';
  if (accept.includes('image/webp')) return 'webp';
  return accept.includes('image/avif') ? 'avif' : 'jpeg';
}
