import { Router } from 'express';
import { AppError } from '../../errors.ts';
import { leaveSignal, type HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import {
  nameParameterReader,
  readAlbumId,
  readSuggestParameters,
  similarParameterReader,
} from '../parameters.ts';
import { albumResponse, toSuggestion } from '../../search/result-json.ts';
import { answerSearch } from '../search-response.ts';

const path = '/api/albums/:album_id';

/**
 * `GET /api/albums` and `/api/suggest`: albums by name. `GET /api/albums/{album_id}` and `/similar`: one album, and those
 * whose covers look like its own.
 */
export function albumsRouter({ config, services }: HttpContext): Router {
  const readNameParameters = nameParameterReader(config.limits.k);
  const readParameters = similarParameterReader(config.limits.k);
  return Router()
    .get('/api/albums', async (request, response) => {
      const { query, parameters } = readNameParameters(request.query);
      response.locals['search'] = parameters;
      const answer = await services.search.byName(query, parameters);
      answerSearch(response, 'name', answer, { query });
    })
    .get('/api/suggest', async (request, response) => {
      const { query, limit } = readSuggestParameters(request.query);
      const options = { k: limit, filter: {}, everyWord: true };
      const { hits } = await services.search.byName(query, options);
      const suggestions = hits.map((hit) => toSuggestion(hit, request.baseUrl));
      response.json({ query, suggestions });
    })
    .get(path, async (request, response) => {
      const id = readAlbumId(request.params);
      const { corpus } = services;
      const album = await corpus.album(id);
      if (!album) throw new AppError('album_not_found', `No album has the id ${String(id)}.`);
      const identifiable = await corpus.isIdentifiable(id);
      response.json(albumResponse(album, request.baseUrl, identifiable));
    })
    .get(`${path}/similar`, async (request, response) => {
      const id = readAlbumId(request.params);
      const parameters = readParameters(request.query);
      response.locals['search'] = parameters;
      const signal = leaveSignal(response);
      const answer = await services.search.byAlbum(id, { ...parameters, signal });
      answerSearch(response, 'similar', answer, { similar_to: id, ...parameters.refinement });
    })
    .all(['/api/albums', '/api/suggest', path, `${path}/similar`], allowOnly('GET', 'HEAD'));
}
