import cors from 'cors';
import express, { type Express, type Router } from 'express';
import type { Logger } from 'pino';
import type { HttpContext } from './context.ts';
import {
  answerProblems,
  limitRate,
  readKey,
  requestLog,
  requireKey,
  routeNotFound,
} from './middleware.ts';

/** Creates the endpoints of one file. */
export type MakeRouter = (context: HttpContext) => Router;

/** Response headers that a browser's scripts may read besides the usual ones. */
const exposedHeaders = ['X-Request-Id', 'Retry-After', 'ETag', 'RateLimit'];

/** The Express application for some endpoints: all of them in the container, one file's in a Lambda function. */
export function createApp(
  context: HttpContext,
  log: Logger,
  routers: readonly MakeRouter[],
): Express {
  const { apiKeys, basePath, corsOrigins, rateLimitPerMinute, trustProxyHops } =
    context.config.server;
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', trustProxyHops);
  app.use(requestLog(log, context.metrics?.observeRequest));
  app.use((_request, response, next) => {
    response.set('X-Content-Type-Options', 'nosniff');
    next();
  });
  app.use(
    cors({ origin: corsOrigins === '*' ? '*' : [...corsOrigins], exposedHeaders, maxAge: 86_400 }),
  );
  const endpoints = express.Router();
  endpoints.use('/api/', readKey(apiKeys));
  // Requests refused for lack of a key count too.
  if (rateLimitPerMinute > 0) endpoints.use('/api/', limitRate(rateLimitPerMinute));
  if (apiKeys.length > 0) endpoints.use('/api/', requireKey);
  for (const makeRouter of routers) endpoints.use(makeRouter(context));
  // API Gateway includes the stage in the path of some events but not of others.
  if (basePath !== '') app.use(basePath, endpoints);
  app.use(endpoints);
  app.use(routeNotFound);
  app.use(answerProblems);
  return app;
}
