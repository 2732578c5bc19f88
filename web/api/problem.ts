import type { ErrorCode } from '../../lib/errors.ts';

/** Failures before a request is sent, or without a response from the API. */
export type LocalCode =
  | 'not_a_picture'
  | 'picture_too_large'
  | 'nothing_to_read'
  | 'camera_denied'
  | 'camera_missing'
  | 'key_refused'
  | 'offline'
  | 'unreachable'
  | 'timed_out';

export type ProblemCode = ErrorCode | LocalCode;

interface ProblemFacts {
  /** The server's sentence about this request, in English. */
  detail?: string;
  requestId?: string;
  /** Seconds to wait before a retry. */
  retryAfter?: number;
  /** Names of the invalid parameters. */
  parameters?: string[];
}

/** Any failure that the page reports to the user. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly detail: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfter: number | undefined;
  readonly parameters: readonly string[];

  constructor(
    code: ProblemCode,
    { detail, requestId, retryAfter, parameters = [] }: ProblemFacts = {},
  ) {
    super(detail ?? code);
    this.name = 'Problem';
    this.code = code;
    this.detail = detail;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
    this.parameters = parameters;
  }
}

/** The error of a proxy in front of the API has no code of ours, so it is derived from the status. */
const codeOfStatus = (status: number): ProblemCode => {
  if (status === 413) return 'upload_too_large';
  if (status === 429) return 'rate_limited';
  if (status === 404) return 'route_not_found';
  if (status >= 500) return 'unreachable';
  return 'invalid_request';
};

/**
 * Reads an error response: `application/problem+json` or any other body.
 *
 * @param withKey whether the request carried a key
 */
export async function readProblem(response: Response, withKey: boolean): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (name: string) => (typeof body[name] === 'string' ? body[name] : undefined);
  const retryAfter = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  const detail = text('detail');
  const requestId = text('request_id') ?? response.headers.get('X-Request-Id') ?? undefined;
  const code = (text('code') as ErrorCode | undefined) ?? codeOfStatus(response.status);
  return new Problem(withKey && code === 'unauthorized' ? 'key_refused' : code, {
    ...(detail !== undefined && { detail }),
    ...(requestId !== undefined && { requestId }),
    ...(retryAfter >= 0 && { retryAfter }),
    ...(Array.isArray(body['parameters']) && { parameters: body['parameters'].map(String) }),
  });
}
