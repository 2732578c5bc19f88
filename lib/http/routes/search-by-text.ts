import { Router } from 'express';
import { leaveSignal, type HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { textParameterReader } from '../parameters.ts';
import { answerSearch } from '../search-response.ts';

const path = '/api/search-by-text';

/** `GET /api/search-by-text`: words in, the albums whose covers match them best out. */
export function searchByTextRouter({ config, services }: HttpContext): Router {
  const readParameters = textParameterReader(config.limits.k);
  return Router()
    .get(path, async (request, response) => {
      const { query, parameters } = readParameters(request.query);
      const signal = leaveSignal(response);
      response.locals['search'] = parameters;
      const answer = await services.search.byText(query, { ...parameters, signal });
      answerSearch(response, 'text', answer, { query });
    })
    .all(path, allowOnly('GET', 'HEAD'));
}
