import { Router } from 'express';
import { AppError } from '../../errors.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { readAlbumId } from '../parameters.ts';

const path = '/api/image/:album_id';

/** A cover does not change under its id, in seconds. */
const maxAge = 86_400;

/** `GET /api/image/{album_id}`: the cover, with ETag, 304, Range and HEAD. */
export function imageRouter({ services }: HttpContext): Router {
  return Router()
    .get(path, async (request, response) => {
      const id = readAlbumId(request.params);
      const { imagesDir } = await services.assets();
      const sent = await new Promise<boolean>((resolve, reject) => {
        response.sendFile(
          `album_${String(id)}.jpg`,
          {
            root: imagesDir,
            cacheControl: false,
            headers: { 'Cache-Control': `public, max-age=${String(maxAge)}` },
          },
          (error?: Error & { status?: number }) => {
            // once the answer has begun, an error means that the client left: nothing more can be said
            if (!error || response.headersSent) resolve(true);
            else if (error.status === 404) resolve(false);
            else reject(error);
          },
        );
      });
      if (!sent) throw await absence(services, id);
    })
    .all(path, allowOnly('GET', 'HEAD'));
}

/** Which of the two is not there: the album, or its cover. The list is read only to tell. */
async function absence(services: HttpContext['services'], id: number): Promise<AppError> {
  const album = (await services.catalog()).byId(id);
  return album
    ? new AppError('cover_not_found', `The cover of album ${String(id)} is not here.`)
    : new AppError('album_not_found', `No album has the id ${String(id)}.`);
}
