import type { Request, Response } from 'express';
import type { Config } from '../config.ts';
import type { Services } from '../services.ts';
import type { Metrics } from './metrics.ts';
import type { Gate } from '../search/gate.ts';

/** What the routers are given. */
export interface HttpContext {
  config: Config;
  services: Services;
  /** Admits uploads that are being read. */
  uploads: Gate;
  /** Whether searches can be answered. */
  readiness: () => Promise<Readiness>;
  /** Where requests are counted; functions have none. */
  metrics?: Metrics;
  /** Bytes that the body of an answer may have; what is larger is redirected to. */
  maxResponseBytes: number;
  /** `performance.now()` when the process began to serve. */
  startedAt: number;
}

export type Readiness = { ready: true } | { ready: false; reason: string };

/**
 * Whether the client left before it had its answer; asked when the response closes. serverless-http closes it without a
 * socket of the client's: there the answer is whole as soon as it has been ended.
 */
export const clientLeft = (response: Response): boolean =>
  !response.writableFinished &&
  (!response.writableEnded || response.socket === null || response.socket.destroyed);

/** Aborted when the client leaves before its answer. */
export const leaveSignal = (_request: Request, response: Response): AbortSignal => {
  const controller = new AbortController();
  response.once('close', () => {
    if (clientLeft(response)) controller.abort(new Error('the client left'));
  });
  return controller.signal;
};
