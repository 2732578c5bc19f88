import { Router } from 'express';
import serverless from 'serverless-http';
import { loadConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { createLogger } from '../log.ts';
import { createServices, type Services } from '../services.ts';
import { createApp, type MakeRouter } from './app.ts';
import type { HttpContext, Readiness } from './context.ts';
import { Gate } from '../search/gate.ts';
import { toAppError } from './problem.ts';

/**
 * Largest binary response body, in bytes: base64 makes it a third larger, and with the headers it must fit in 6 MB of
 * JSON. (Lambda's quota for synchronous invocations: 6,291,556 bytes.)
 */
const maxResponseBytes = 4_400_000;

/** Time reserved at the invocation's end for the `out_of_time` response, in milliseconds. */
const marginMs = 500;

/** Response bodies that are not text must be base64-encoded, and so must compressed text. */
const isText = /^(text\/|application\/(json|problem\+json|javascript))/;

/**
 * An endpoint as a Lambda handler for events of API Gateway (HTTP API and REST), function URLs and load balancers. Warm
 * invocations reuse what the first one loaded. If the response is not ready in time, it is 503 `out_of_time`, and
 * loading continues with the next invocation.
 */
export function createHandler(...routers: MakeRouter[]) {
  const config = loadConfig();
  const log = createLogger(config.logLevel);
  // An invocation has the process to itself: one worker with all cores.
  const encoder = { ...config.encoder, workers: config.encoder.workers ?? 1 };
  // The features of the covers would be fetched at every cold start: docs/deploy-aws.md.
  const identify = config.identify ?? false;
  const services = createServices({ ...config, encoder, identify }, log);
  const context: HttpContext = {
    config,
    services,
    uploads: new Gate(config.limits.uploads, 'uploads'),
    readiness: () => filesFit(services),
    maxResponseBytes,
    startedAt: performance.now(),
  };
  const options = {
    binary: (headers: Record<string, string | undefined>) =>
      headers['content-encoding'] !== undefined ||
      !isText.test(headers['content-type'] ?? 'text/plain'),
  };
  const answer = serverless(createApp(context, log, routers), options);
  const giveUp = serverless(createApp(context, log, [outOfTimeRouter]), options);
  return async (event: object, invocation: { getRemainingTimeInMillis?: () => number }) => {
    const remaining = invocation.getRemainingTimeInMillis?.();
    if (remaining === undefined) return answer(event, invocation);
    const late = Symbol('late');
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<typeof late>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, remaining - marginMs), late);
    });
    const first = await Promise.race([answer({ ...event }, invocation), deadline]);
    clearTimeout(timer);
    return first === late ? giveUp(event, invocation) : first;
  };
}

/** Answers every request with `out_of_time`. */
const outOfTimeRouter: MakeRouter = () =>
  Router().use(() => {
    throw new AppError(
      'out_of_time',
      'The answer was not ready in the time that this function has: try again in a moment.',
    );
  });

/** A function is ready when the index and the catalog match; models are loaded on demand. */
const filesFit = (services: Services): Promise<Readiness> =>
  services.corpus.load().then(
    () => ({ ready: true }),
    (error: unknown) => ({ ready: false, reason: toAppError(error).detail }),
  );
