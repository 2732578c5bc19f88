import { json, Router } from 'express';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { readUploadType } from '../parameters.ts';

const path = '/api/uploads';

/** `POST /api/uploads`: a presigned form for uploading a picture to S3 that is too large for a request. */
export function uploadsRouter({ services }: HttpContext): Router {
  return Router()
    .post(path, json({ limit: '4kb' }), async (request, response) => {
      const uploads = await services.uploads();
      const type = readUploadType((request.body ?? {}) as Record<string, unknown>);
      const { uploadId, url, fields, maxBytes, expiresIn } = await uploads.invite(type);
      response
        .status(201)
        .set('Cache-Control', 'no-store')
        .json({ upload_id: uploadId, url, fields, max_bytes: maxBytes, expires_in: expiresIn });
    })
    .all(path, allowOnly('POST'));
}
