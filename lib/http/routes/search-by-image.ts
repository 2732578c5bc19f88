import { Router } from 'express';
import { leaveSignal, type HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { searchParameterReader } from '../parameters.ts';
import { answerSearch } from '../search-response.ts';
import { readUpload } from '../upload.ts';

const path = '/api/search-by-image';

/** `POST /api/search-by-image`: a picture in, the albums with the most similar covers out. */
export function searchByImageRouter({ config, services, gate }: HttpContext): Router {
  const { limits } = config;
  const readParameters = searchParameterReader(limits.k);
  const uploadLimits = { bytes: limits.uploadBytes, idleSeconds: limits.uploadIdleSeconds };
  return Router()
    .post(path, async (request, response) => {
      const signal = leaveSignal(request, response);
      const answer = await gate.admit(async () => {
        readParameters(request.query); // a bad one is told before the upload is read
        const { file, fields } = await readUpload(request, uploadLimits);
        const parameters = readParameters({ ...request.query, ...fields });
        response.locals['search'] = { bytes: file.length, ...parameters };
        return services.search.byImage(file, { ...parameters, signal });
      });
      answerSearch(response, 'image', answer);
    })
    .all(path, allowOnly('POST'));
}
