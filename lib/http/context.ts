import type { Response } from 'express';
import type { Config } from '../config/config.ts';
import type { Services } from '../services.ts';
import type { Metrics } from './metrics.ts';
import type { Gate } from '../search/gate.ts';

/** What the routers depend on. */
export interface HttpContext {
  config: Config;
  services: Services;
  /** Limits the uploads that are read at a time. */
  uploads: Gate;
  /** Whether searches can be answered. */
  readiness: () => Promise<Readiness>;
  /** Counts requests; Lambda functions have none. */
  metrics?: Metrics;
  /** Largest response body, in bytes; clients are redirected to covers that are larger. */
  maxResponseBytes: number;
  /** `performance.now()` when the process started serving. */
  startedAt: number;
}

export type Readiness = { ready: true } | { ready: false; reason: string };

/**
 * Whether the client disconnected before it had its response; called when the response closes. serverless-http closes
 * it without a client's socket: there the response is complete as soon as it has ended.
 */
export const clientLeft = (response: Response): boolean =>
  !response.writableFinished &&
  (!response.writableEnded || response.socket === null || response.socket.destroyed);

/** A signal that is aborted if the client disconnects before its response. */
export const leaveSignal = (response: Response): AbortSignal => {
  const controller = new AbortController();
  response.once('close', () => {
    if (clientLeft(response)) controller.abort(new Error('the client left'));
  });
  return controller.signal;
};
