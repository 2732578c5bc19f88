import { Router } from 'express';
import { AppError } from '../../errors.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { readAlbumId, similarParameterReader } from '../parameters.ts';
import { albumResponse } from '../../search/result-json.ts';
import { answerSearch } from '../search-response.ts';

const path = '/api/albums/:album_id';

/** `GET /api/albums/{album_id}` and `/similar`: one album, and those whose covers look like its own. */
export function albumsRouter({ config, services }: HttpContext): Router {
  const readParameters = similarParameterReader(config.limits.k);
  return Router()
    .get(path, async (request, response) => {
      const id = readAlbumId(request.params);
      const catalog = await services.catalog();
      const row = catalog.rowOf(id);
      if (row === undefined)
        throw new AppError('album_not_found', `No album has the id ${String(id)}.`);
      const identifiable = services.features.made?.isIdentifiable(row) ?? null;
      response.json(albumResponse(catalog.atRow(row), request.baseUrl, identifiable));
    })
    .get(`${path}/similar`, async (request, response) => {
      const id = readAlbumId(request.params);
      const parameters = readParameters(request.query);
      response.locals['search'] = parameters;
      const answer = await services.search.byAlbum(id, parameters);
      answerSearch(response, 'similar', answer, { similar_to: id });
    })
    .all([path, `${path}/similar`], allowOnly('GET', 'HEAD'));
}
