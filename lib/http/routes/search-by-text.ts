import { Router } from 'express';
import { leaveSignal, type HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { readQuery, readSearchParameters } from '../parameters.ts';
import { searchResponse } from '../search-response.ts';

const path = '/api/search-by-text';

/** `GET /api/search-by-text`: words in, the albums whose covers look like them out. */
export function searchByTextRouter({ config, services, gate }: HttpContext): Router {
  return Router()
    .get(path, async (request, response) => {
      const query = readQuery(request.query);
      const parameters = readSearchParameters(request.query, config.limits.k);
      const signal = leaveSignal(request, response);
      const hits = await gate.admit(() => services.search.byText(query, { ...parameters, signal }));
      response.json({ ...searchResponse('text', hits), query });
    })
    .all(path, allowOnly('GET', 'HEAD'));
}
