import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import type { Logger } from 'pino';
import { nameOfKey, type ApiKey } from '../config/api-keys.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { clientLeft } from './context.ts';
import { problems, sendProblem, toAppError } from './problem.ts';

/** A request id that is safe to log and to send back. */
const requestIdPattern = /^[\w.:=-]{1,128}$/;

/** Codes of a service that works as intended: they are not logged as failures. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['busy', 'starting']);

/** A request that has ended. */
export interface RequestOver {
  request: Request;
  /** `null` if the client disconnected. */
  status: number | null;
  ms: number;
  code: ErrorCode | undefined;
  /** A search's fields in the log line. */
  search:
    | { nearest_ms?: number; identify_ms?: number; identified?: number; cached?: boolean }
    | undefined;
}

/**
 * Gives each request an id (the caller's `X-Request-Id` if well-formed), which the response carries too, and logs one
 * line when the request ends: answered, or abandoned by its client.
 */
export const requestLog =
  (log: Logger, onOver?: (over: RequestOver) => void): RequestHandler =>
  (request, response, next) => {
    const start = performance.now();
    const given = request.get('x-request-id');
    const requestId = given !== undefined && requestIdPattern.test(given) ? given : randomUUID();
    response.locals['requestId'] = requestId;
    response.set('X-Request-Id', requestId);
    let answeredAt: number | undefined;
    response.once('finish', () => (answeredAt = performance.now()));
    response.once('close', () => {
      const error = response.locals['error'] as AppError | undefined;
      const search = response.locals['search'] as RequestOver['search'];
      const line = {
        request_id: requestId,
        method: request.method,
        url: request.originalUrl,
        status: response.statusCode,
        ms: Math.round(10 * ((answeredAt ?? performance.now()) - start)) / 10,
        client: request.ip,
        key: keyOf(response),
        ...(error && { code: error.code, detail: error.detail }),
        ...search,
      };
      const left = clientLeft(response);
      const status = left ? null : line.status;
      onOver?.({ request, status, ms: line.ms, code: error?.code, search });
      const fault = error && problems[error.code].status >= 500 && !passing.has(error.code);
      if (left && !fault) log.warn({ ...line, status }, 'client hung up');
      else if (fault) log.error({ ...line, err: error.cause ?? error }, 'failed');
      else log.info(line, error ? 'refused' : 'answered');
    });
    next();
  };

/** The name of the request's API key. */
const keyOf = (response: Response): string | undefined =>
  response.locals['key'] as string | undefined;

/** Records the name of the request's key: `Authorization: Bearer KEY`, which a proxy may need, or `X-API-Key`. */
export const readKey =
  (keys: readonly ApiKey[]): RequestHandler =>
  (request, response, next) => {
    const bearer = /^Bearer +(\S+)$/i.exec(request.get('authorization') ?? '')?.[1];
    for (const key of [request.get('x-api-key'), bearer])
      if (key !== undefined) response.locals['key'] ??= nameOfKey(keys, key);
    next();
  };

/**
 * Refuses requests without a key before their body is read. Covers stay open: pages show them with `<img>`, which
 * sends no such header, and a key in a URL would end up in logs.
 */
export const requireKey: RequestHandler = (request, response, next) => {
  const isOpen = request.path.startsWith('/image/');
  if (!isOpen && keyOf(response) === undefined) {
    response.set('WWW-Authenticate', 'Bearer realm="shazam-visual"');
    throw new AppError(
      'unauthorized',
      'Expected a valid API key in Authorization (as Bearer) or in X-API-Key.',
    );
  }
  // A shared cache must not serve it to clients without a key.
  if (!isOpen) response.set('Cache-Control', 'private');
  next();
};

/**
 * Leading bits of an IPv6 address that identify a client. Providers give a household a /56 (RIPE-690 asks for no less),
 * whose 256 /64 networks would otherwise count as 256 clients. A phone has its own /64 and so shares its limit with
 * neighbours, as it does behind one IPv4 address of its provider.
 */
const ipv6ClientBits = 56;

/**
 * Limits the requests per minute of one key or, without a key, of one address; further ones get 429 with `Retry-After`.
 * A counter takes 270 bytes and expires within two minutes: a thousand new addresses a second take 32 MB.
 */
export const limitRate = (perMinute: number): RequestHandler =>
  rateLimit({
    windowMs: 60_000,
    limit: perMinute,
    // There is no address if the client has already disconnected, or if a load balancer passes none to a function.
    keyGenerator: ({ ip = 'unknown' }, response) => {
      const key = keyOf(response);
      return key === undefined ? `address ${ipKeyGenerator(ip, ipv6ClientBits)}` : `key ${key}`;
    },
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: (_request, response) => {
      const whose = keyOf(response) === undefined ? 'from one address' : 'with one key';
      throw new AppError(
        'rate_limited',
        `Expected at most ${String(perMinute)} requests per minute ${whose}: wait for the number of seconds in Retry-After.`,
      );
    },
  });

/** Answers 405 for an existing path that does not accept the request's method. */
export const allowOnly =
  (...methods: string[]): RequestHandler =>
  (request, response) => {
    response.set('Allow', methods.join(', '));
    throw new AppError(
      'method_not_allowed',
      `Expected ${methods.join(' or ')} for ${request.path} but received ${request.method}.`,
    );
  };

export const routeNotFound: RequestHandler = (request) => {
  throw new AppError(
    'route_not_found',
    `There is no endpoint ${request.path}: GET / lists all endpoints.`,
  );
};

/** How long the rest of a refused upload is read and discarded, in milliseconds. */
const lingerMs = 5_000;

/**
 * Turns every error into a problem response. A refused upload may still be arriving: the response is sent at once and
 * the rest of the upload is discarded, so that the client can read the response (closing at once would reset the
 * connection). A client that keeps sending is cut off.
 */
export const answerProblems: ErrorRequestHandler = (error: unknown, request, response, _next) => {
  const problem = toAppError(error);
  response.locals['error'] = problem;
  if (response.headersSent) {
    request.socket.destroy();
    return;
  }
  if (!request.complete) {
    request.resume();
    const cutOff = setTimeout(() => request.socket.destroy(), lingerMs).unref();
    request.once('end', () => {
      clearTimeout(cutOff);
    });
  }
  sendProblem(response, problem);
};
