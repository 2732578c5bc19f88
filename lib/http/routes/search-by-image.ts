import { Router } from 'express';
import { leaveSignal, type HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { imageParameterReader } from '../parameters.ts';
import { answerSearch } from '../search-response.ts';
import { readUpload } from '../upload.ts';

const path = '/api/search-by-image';

/**
 * `POST /api/search-by-image`: a picture in, the albums with the most similar covers out. The picture is in the
 * request, or was uploaded to S3 under an `upload_id`.
 */
export function searchByImageRouter({ config, services, uploads }: HttpContext): Router {
  const { limits } = config;
  const readParameters = imageParameterReader(limits.k);
  const uploadLimits = {
    bytes: limits.uploadBytes,
    idleSeconds: limits.uploadIdleSeconds,
    seconds: limits.uploadSeconds,
  };
  return Router()
    .post(path, async (request, response) => {
      const signal = leaveSignal(response);
      // Invalid parameters and a full queue are reported before the upload is read.
      const early = readParameters(request.query);
      services.search.assertRoomForPicture();
      const { picture, parameters } = await uploads.admit(async () => {
        const { file, fields } =
          early.uploadId === undefined
            ? await readUpload(request, uploadLimits)
            : { file: undefined, fields: {} };
        const { uploadId, parameters } = readParameters({ ...request.query, ...fields });
        const picture = file ?? (await (await services.uploads()).take(uploadId ?? ''));
        return { picture, parameters };
      });
      response.locals['search'] = { bytes: picture.length, ...parameters };
      const answer = await services.search.byImage(picture, { ...parameters, signal });
      answerSearch(response, 'image', answer, parameters.refinement);
    })
    .all(path, allowOnly('POST'));
}
