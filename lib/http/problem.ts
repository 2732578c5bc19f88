import type { Response } from 'express';
import {
  AppError,
  isAppError,
  preconditionFailed,
  rangeNotSatisfiable,
  type ErrorCode,
} from '../errors.ts';

/** Every code's status and title. `docs/errors.md` has the same table; a test compares them. */
export const problems: Readonly<Record<ErrorCode, { status: number; title: string }>> = {
  invalid_parameter: { status: 400, title: 'Invalid parameter' },
  missing_file: { status: 400, title: 'The upload contains no picture' },
  unexpected_field: { status: 400, title: 'The picture was not in the field "file"' },
  too_many_files: { status: 400, title: 'More than one picture was sent' },
  empty_file: { status: 400, title: 'The file is empty' },
  malformed_upload: { status: 400, title: 'The upload could not be parsed' },
  upload_incomplete: { status: 408, title: 'The upload was interrupted' },
  upload_too_large: { status: 413, title: 'The upload is too large' },
  not_an_image: { status: 400, title: 'The file is not a picture' },
  unsupported_image: { status: 400, title: 'Unsupported picture format' },
  unreadable_image: { status: 400, title: 'The picture is damaged' },
  image_too_large: { status: 400, title: 'The picture has too many pixels' },
  route_not_found: { status: 404, title: 'No such endpoint' },
  album_not_found: { status: 404, title: 'No such album' },
  cover_not_found: { status: 404, title: 'The cover is not available' },
  uploads_disabled: { status: 404, title: 'Uploads to S3 are not enabled' },
  upload_not_found: { status: 404, title: 'No such upload' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  range_not_satisfiable: { status: 416, title: 'The requested range lies outside the file' },
  precondition_failed: { status: 412, title: 'The file is not the requested version' },
  invalid_request: { status: 400, title: 'The request could not be understood' },
  unauthorized: { status: 401, title: 'An API key is required' },
  rate_limited: { status: 429, title: 'Too many requests per minute' },
  busy: { status: 503, title: 'Too many searches at once' },
  starting: { status: 503, title: 'The service is still starting' },
  out_of_time: { status: 503, title: 'Not enough time to answer' },
  encoder_lost: { status: 503, title: 'The model crashed while encoding the query' },
  invalid_config: { status: 500, title: 'The service is misconfigured' },
  assets_missing: { status: 503, title: 'Required files are missing' },
  assets_inconsistent: { status: 503, title: "The service's files do not match each other" },
  index_unreadable: { status: 503, title: 'The index cannot be read' },
  model_unreadable: { status: 503, title: 'The model cannot be read' },
  catalog_unreadable: { status: 503, title: 'The metadata cannot be read' },
  storage_unavailable: { status: 503, title: 'The file storage is unavailable' },
  internal_error: { status: 500, title: 'Internal error' },
};

/** Seconds after which a retry is worthwhile: searches take tens of milliseconds, loading takes seconds. */
const retryAfter = (code: ErrorCode) =>
  code === 'busy' || code === 'out_of_time' || code === 'encoder_lost' ? 1 : 5;

/**
 * Converts any error into one that may be shown to clients. Unexpected errors become `internal_error` without details;
 * refusals by Express itself (a malformed URL, an unsatisfiable range) keep their meaning.
 */
export function toAppError(error: unknown): AppError {
  if (isAppError(error)) return error;
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (status === 416) return rangeNotSatisfiable(error);
  if (status === 412) return preconditionFailed(error);
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new AppError(
      'invalid_request',
      'The request is malformed: check the URL and its encoding.',
      { cause: error },
    );
  return new AppError(
    'internal_error',
    'The service failed to answer. The log has the cause under this request id.',
    { cause: error },
  );
}

/** The body of an error response in the format of RFC 9457, with a stable `code`. */
export const problemBody = ({ code, detail, parameters }: AppError) => {
  const { status, title } = problems[code];
  return { type: 'about:blank', title, status, code, detail, ...(parameters && { parameters }) };
};

/** Headers that may have been set for the intended response and don't apply to an error. */
const headersOfContent = [
  'ETag',
  'Last-Modified',
  'Accept-Ranges',
  'Content-Encoding',
  'Content-Length',
];

/** Sends an uncacheable `application/problem+json` with the code's status and, for any 503, `Retry-After` (seconds). */
export function sendProblem(response: Response, error: AppError): void {
  const body = problemBody(error);
  for (const name of headersOfContent) response.removeHeader(name);
  response.set('Cache-Control', 'no-store');
  if (body.status === 503) response.set('Retry-After', String(retryAfter(error.code)));
  const text = JSON.stringify({
    ...body,
    instance: response.req.originalUrl,
    request_id: response.locals['requestId'] as string,
  });
  // not `send`, which would add an ETag
  response
    .status(body.status)
    .type('application/problem+json')
    .set('Content-Length', String(Buffer.byteLength(text)))
    .end(response.req.method === 'HEAD' ? undefined : text);
}
