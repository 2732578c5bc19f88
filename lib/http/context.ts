import type { Request, Response } from 'express';
import type { Config } from '../config.ts';
import type { Services } from '../services.ts';
import type { Gate } from './gate.ts';

/** What the routers are given. */
export interface HttpContext {
  config: Config;
  services: Services;
  /** Admits searches, by image and by text together. */
  gate: Gate;
  /** Whether searches can be answered. */
  readiness: () => Promise<Readiness>;
  /** Bytes that the body of an answer may have; what is larger is redirected to. */
  maxResponseBytes: number;
  /** `performance.now()` when the process began to serve. */
  startedAt: number;
}

export type Readiness = { ready: true } | { ready: false; reason: string };

/** Aborted when the client leaves before its answer. */
export const leaveSignal = (_request: Request, response: Response): AbortSignal => {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new Error('the client left'));
  });
  return controller.signal;
};
