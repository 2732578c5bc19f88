import { Router, type Response } from 'express';
import { AppError } from '../../errors.ts';
import { coverName } from '../../storage/covers.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { readAlbumId } from '../parameters.ts';
import { sendRemoteCover } from '../remote-cover.ts';

const path = '/api/image/:album_id';

/** A cover does not change under its id: one may keep it for a day. */
export const coverCaching = 'public, max-age=86400';

/** `GET /api/image/{album_id}`: the cover, with ETag, 304, Range and HEAD; or a redirect to the CDN. */
export function imageRouter({ config, services, maxResponseBytes }: HttpContext): Router {
  /** Which of the two is not there: the album, or its cover. The list is read only to tell. */
  const absence = async (id: number): Promise<AppError> =>
    (await services.catalog()).byId(id)
      ? new AppError('cover_not_found', `The cover of album ${String(id)} is not here.`)
      : new AppError('album_not_found', `No album has the id ${String(id)}.`);

  return Router()
    .get(path, async (request, response) => {
      const id = readAlbumId(request.params);
      if (config.cdnUrl !== undefined) {
        if (!(await services.catalog()).byId(id)) throw await absence(id);
        response.set('Cache-Control', coverCaching).redirect(`${config.cdnUrl}/${coverName(id)}`);
        return;
      }
      const { covers } = await services.assets();
      const sent =
        covers.kind === 'folder'
          ? await sendFile(response, covers.dir, coverName(id))
          : await sendRemoteCover(covers, id, {
              request,
              response,
              maxResponseBytes,
              cacheControl: coverCaching,
            });
      if (!sent) throw await absence(id);
    })
    .all(path, allowOnly('GET', 'HEAD'));
}

/** @returns whether there is such a file */
const sendFile = (response: Response, root: string, name: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    response.sendFile(
      name,
      { root, cacheControl: false, headers: { 'Cache-Control': coverCaching } },
      (error?: Error & { status?: number }) => {
        // once the answer has begun, an error means that the client left: nothing more can be said
        if (!error || response.headersSent) resolve(true);
        else if (error.status === 404) resolve(false);
        else reject(error);
      },
    );
  });
