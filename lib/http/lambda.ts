import { Router } from 'express';
import serverless from 'serverless-http';
import { loadConfig } from '../config.ts';
import { AppError } from '../errors.ts';
import { createLogger } from '../log.ts';
import { createServices, type Services } from '../services.ts';
import { createApp, type MakeRouter } from './app.ts';
import type { HttpContext, Readiness } from './context.ts';
import { Gate } from '../search/gate.ts';
import { toAppError } from './problem.ts';

export type LambdaHandler = (event: object, context: object) => Promise<object>;

/**
 * Bytes of a binary body that an answer can carry: 6 MB of JSON, of which base64 takes a third, less room for
 * headers. (Lambda's quota for synchronous invocations: 6,291,556 bytes.)
 */
const maxResponseBytes = 4_400_000;

/** Before the invocation's end, in milliseconds: time to say that there was not enough of it. */
const marginMs = 500;

/** Everything but text must be base64 on its way out, and so must text that is compressed. */
const isText = /^(text\/|application\/(json|problem\+json|javascript))/;

/** What is used of Lambda's second argument. */
interface LambdaContext {
  getRemainingTimeInMillis?: () => number;
}

/**
 * An endpoint as a Lambda handler for events of API Gateway (HTTP API and REST), function URLs and load
 * balancers. What the first invocation loads, the warm ones reuse. An answer that can't be ready before the
 * invocation is cut off is 503 `out_of_time`; what was being loaded goes on with the next invocation.
 */
export function createHandler(...routers: MakeRouter[]): LambdaHandler {
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
  return async (event, invocation: LambdaContext) => {
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

/** Answers everything with the refusal of an invocation whose time is up. */
const outOfTimeRouter: MakeRouter = () =>
  Router().use((_request, _response, next) => {
    next(
      new AppError(
        'out_of_time',
        'The answer was not ready in the time that this function has: try again in a moment.',
      ),
    );
  });

/** A function is ready when the index and the catalog fit each other; models are loaded where they are needed. */
const filesFit = async (services: Services): Promise<Readiness> => {
  try {
    await services.index();
    return { ready: true };
  } catch (error) {
    return { ready: false, reason: toAppError(error).detail };
  }
};
