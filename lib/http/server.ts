import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server } from 'node:http';
import express from 'express';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { createServices, warmUp } from '../services.ts';
import { createApp } from './app.ts';
import type { HttpContext, Readiness } from './context.ts';
import { Gate } from '../search/gate.ts';
import { problemBody, toAppError } from './problem.ts';
import { createMetrics, metricsRouter } from './metrics.ts';
import { watchFiles } from './reload.ts';
import { albumsRouter } from './routes/albums.ts';
import { healthRouter } from './routes/health.ts';
import { imageRouter } from './routes/image.ts';
import { pageRouter } from './routes/page.ts';
import { rootRouter } from './routes/root.ts';
import { searchByImageRouter } from './routes/search-by-image.ts';
import { searchByTextRouter } from './routes/search-by-text.ts';
import { statsRouter } from './routes/stats.ts';
import { uploadsRouter } from './routes/uploads.ts';

export interface RunningServer {
  /** Where it listens, e.g. `http://127.0.0.1:7860`. */
  url: string;
  /** Resolves when everything is loaded; rejects with the first failure, but the server keeps running. */
  warm: Promise<void>;
  /** Reloads the files, without dropping a request; `false` if the old ones stay in use. */
  reload: () => Promise<boolean>;
  /** Takes no new connections, finishes requests in flight, then resolves; `false` if time ran out. */
  close: () => Promise<boolean>;
}

/**
 * Every endpoint on one port. It listens at once and loads in the background; an early search waits for what it needs.
 *
 * @throws AppError `assets_missing` before it listens, if files are missing
 */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const startedAt = performance.now();
  const metrics = createMetrics();
  const services = createServices(config, log, metrics.observeBatch);
  metrics.watch(services);
  await services.assets();
  const loading = loadInBackground(() => warmUp(services), log);
  const context: HttpContext = {
    config,
    services,
    uploads: new Gate(config.limits.uploads, 'uploads'),
    readiness: loading.state,
    metrics,
    maxResponseBytes: Infinity,
    startedAt,
  };
  const { host, metricsPort } = config.server;
  const app = createApp(context, log, [
    ...(metricsPort === undefined ? [() => metricsRouter(metrics)] : []),
    pageRouter,
    rootRouter,
    healthRouter,
    searchByImageRouter,
    searchByTextRouter,
    imageRouter,
    statsRouter,
    uploadsRouter,
    albumsRouter,
  ]);
  const server = createServer({ keepAliveTimeout: 65_000 }, app);
  server.on('clientError', answerUnparsable);
  await listen(server, config.server);
  const metricsServer = createServer(express().use(metricsRouter(metrics)));
  if (metricsPort !== undefined) {
    await listen(metricsServer, { host, port: metricsPort });
    log.info({ url: urlOf(metricsServer.address() as AddressInfo) }, 'metrics');
  }
  const url = urlOf(server.address() as AddressInfo);
  log.info({ url }, 'listening');
  const files = watchFiles(services, log, config.server.reloadSeconds);
  return {
    url,
    warm: loading.start(),
    reload: () => files.reload('signal'),
    close: async () => {
      files.stop();
      metricsServer.close();
      const inTime = await closeGracefully(server, config.server.shutdownSeconds);
      await services.close();
      return inTime;
    },
  };
}

/** Loads at start; after a failure, the next check of readiness retries. */
function loadInBackground(load: () => Promise<void>, log: Logger) {
  let readiness: Readiness = { ready: false, reason: 'Still loading.' };
  let running = false;
  const start = async () => {
    running = true;
    try {
      await load();
      readiness = { ready: true };
      log.info('ready');
    } catch (error) {
      const { code, detail, cause } = toAppError(error);
      readiness = { ready: false, reason: detail };
      log.error({ code, err: cause ?? error }, detail);
      throw error;
    } finally {
      running = false;
    }
  };
  const state = (): Promise<Readiness> => {
    if (!readiness.ready && !running) start().catch(() => undefined); // reported by `readiness` and the log
    return Promise.resolve(readiness);
  };
  return { start, state };
}

/** A request that is not HTTP, or whose body ends too early, gets its 400 before the connection closes. */
function answerUnparsable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = new AppError(
    'invalid_request',
    'The request is not well-formed HTTP, or its body is incomplete.',
  );
  const body = JSON.stringify(problemBody(refusal));
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: ${String(Buffer.byteLength(body))}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const listen = (server: Server, { port, host }: { port: number; host: string }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? `port ${String(port)} is already in use: set PORT to another one`
          : error.message;
      reject(
        new AppError('invalid_config', `Cannot listen on ${host}:${String(port)}: ${why}.`, {
          cause: error,
        }),
      );
    });
    server.listen(port, host, resolve);
  });

const urlOf = ({ address, family, port }: AddressInfo): string => {
  const unspecified = address === '0.0.0.0' || address === '::';
  const host = unspecified ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${String(port)}`;
};

/** Interval at which idle connections are closed during shutdown, in milliseconds. */
const idleSweepMs = 50;

async function closeGracefully(server: Server, seconds: number): Promise<boolean> {
  let inTime = true;
  const closed = new Promise((resolve) => server.close(resolve));
  const sweep = setInterval(() => {
    server.closeIdleConnections();
  }, idleSweepMs);
  const limit = setTimeout(() => {
    inTime = false;
    server.closeAllConnections();
  }, 1000 * seconds);
  await closed;
  clearInterval(sweep);
  clearTimeout(limit);
  return inTime;
}
