import serverless from 'serverless-http';
import { loadConfig } from '../config.ts';
import { createLogger } from '../log.ts';
import { createServices, type Services } from '../services.ts';
import { createApp, type MakeRouter } from './app.ts';
import type { HttpContext, Readiness } from './context.ts';
import { Gate } from './gate.ts';
import { toAppError } from './problem.ts';

export type LambdaHandler = (event: object, context: object) => Promise<object>;

/** Everything but text must be base64 on its way out. */
const isText = /^(text\/|application\/(json|problem\+json|javascript))/;

/**
 * An endpoint as a Lambda handler for events of API Gateway (HTTP API and REST), function URLs and load
 * balancers. What the first invocation loads, the warm ones reuse.
 */
export function createHandler(...routers: MakeRouter[]): LambdaHandler {
  const config = loadConfig();
  const log = createLogger(config.logLevel);
  const services = createServices(config, log);
  const context: HttpContext = {
    config,
    services,
    gate: new Gate(config.limits.waitingSearches),
    readiness: () => filesFit(services),
    startedAt: performance.now(),
  };
  return serverless(createApp(context, log, routers), {
    binary: (headers: Record<string, string | undefined>) =>
      !isText.test(headers['content-type'] ?? 'text/plain'),
  });
}

/** A function is ready when the index and the catalog fit each other; models are loaded where they are needed. */
const filesFit = async (services: Services): Promise<Readiness> => {
  try {
    await services.index();
    return { ready: true };
  } catch (error) {
    return { ready: false, reason: toAppError(error).detail };
  }
};
