/**
 * Every way in which the service can refuse a request or fail, independent of HTTP: `lib/http/problem.ts` maps each
 * code to a status.
 */
export const errorCodes = [
  // what the client sent
  'invalid_parameter',
  'missing_file',
  'unexpected_field',
  'too_many_files',
  'empty_file',
  'malformed_upload',
  'upload_incomplete',
  'upload_too_large',
  'not_an_image',
  'unsupported_image',
  'unreadable_image',
  'image_too_large',
  // the requested resource
  'route_not_found',
  'album_not_found',
  'cover_not_found',
  'uploads_disabled',
  'upload_not_found',
  'method_not_allowed',
  'range_not_satisfiable',
  'precondition_failed',
  'invalid_request',
  // access and load
  'unauthorized',
  'rate_limited',
  'busy',
  'starting',
  'out_of_time',
  'encoder_lost',
  // the service's configuration and files
  'invalid_config',
  'assets_missing',
  'assets_inconsistent',
  'index_unreadable',
  'model_unreadable',
  'catalog_unreadable',
  'storage_unavailable',
  // everything else
  'internal_error',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * A refusal or failure with a code. `detail` is one sentence for the person who has to act on it; `cause` is for the
 * log only. Match on `code`: it survives bundling, `instanceof` may not.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  /** Names of the parameters concerned, if any. */
  readonly parameters: readonly string[] | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    options?: { cause?: unknown; parameters?: readonly string[] },
  ) {
    super(detail, options);
    this.name = 'AppError';
    this.code = code;
    this.parameters = options?.parameters;
  }

  get detail(): string {
    return this.message;
  }
}

export const isAppError = (error: unknown): error is AppError =>
  error instanceof Error &&
  'code' in error &&
  (errorCodes as readonly unknown[]).includes(error.code);

/** An error passed between threads, where an `Error` would lose its code. */
export type PlainError = ReturnType<typeof toPlainError>;

export const toPlainError = (error: unknown) => ({
  message: error instanceof Error ? error.message : String(error),
  code: isAppError(error) ? error.code : undefined,
  stack: error instanceof Error ? error.stack : undefined,
});

export function fromPlainError({ message, code, stack }: PlainError): Error {
  const error = code === undefined ? new Error(message) : new AppError(code, message);
  return Object.assign(error, { stack });
}

/** A `Range` that lies outside the file. */
export const rangeNotSatisfiable = (cause: unknown) =>
  new AppError('range_not_satisfiable', 'The Range header asks for bytes beyond the file.', {
    cause,
  });

/** An `If-Match` or `If-Unmodified-Since` that does not hold. */
export const preconditionFailed = (cause: unknown) =>
  new AppError(
    'precondition_failed',
    'The file is not the one that If-Match or If-Unmodified-Since asks for.',
    { cause },
  );
