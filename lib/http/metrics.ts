import { Router, type Request } from 'express';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EncodedBatch } from '../clip/encoder-pool.ts';
import type { Tower } from '../clip/model-files.ts';
import type { Services } from '../services.ts';
import { allowOnly, type RequestOver } from './middleware.ts';

/** Buckets, in seconds: from a cached search to one that waited for a large picture ahead of it. */
const seconds = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15];

export type Metrics = ReturnType<typeof createMetrics>;

/** The server's counters and timings, in Prometheus's format. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry }); // memory, event-loop delay, processor time
  const requests = new Counter({
    name: 'shazam_requests_total',
    help: 'Requests by route, method and status; "left": the client disconnected before the response.',
    labelNames: ['route', 'method', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'shazam_request_duration_seconds',
    help: 'From the request line to the last byte of the answer.',
    labelNames: ['route'],
    buckets: seconds,
    registers,
  });
  const refusals = new Counter({
    name: 'shazam_refusals_total',
    help: 'Requests that were refused or failed, by the code of docs/errors.md.',
    labelNames: ['code'],
    registers,
  });
  const stages = new Histogram({
    name: 'shazam_search_duration_seconds',
    help: 'Parts of a search: wait (for a worker), encode (the batch that it was in), identify (the albums in a picture), nearest (the index).',
    labelNames: ['stage'],
    buckets: seconds,
    registers,
  });
  const batches = new Histogram({
    name: 'shazam_batch_size',
    help: 'Queries that were encoded together.',
    labelNames: ['tower'],
    buckets: [1, 2, 3, 4, 5, 6, 7, 8],
    registers,
  });
  const queries = new Counter({
    name: 'shazam_queries_total',
    help: 'Queries by whether their embedding was cached.',
    labelNames: ['cached'],
    registers,
  });
  const identified = new Counter({
    name: 'shazam_identifications_total',
    help: 'Pictures in which albums were looked for, by whether one was recognised.',
    labelNames: ['found'],
    registers,
  });

  return {
    registry,

    observeRequest: ({ request, status, ms, code, search }: RequestOver): void => {
      const route = routeOf(request);
      requests.inc({ route, method: request.method, status: status ?? 'left' });
      durations.observe({ route }, ms / 1000);
      if (code) refusals.inc({ code });
      if (search?.nearest_ms === undefined) return;
      stages.observe({ stage: 'nearest' }, search.nearest_ms / 1000);
      if (search.identify_ms !== undefined) {
        stages.observe({ stage: 'identify' }, search.identify_ms / 1000);
        identified.inc({ found: String((search.identified ?? 0) > 0) });
      }
      queries.inc({ cached: String(search.cached ?? false) });
    },

    observeBatch: (tower: Tower, { ms, waitedMs }: EncodedBatch): void => {
      batches.observe({ tower }, waitedMs.length);
      stages.observe({ stage: 'encode' }, ms / 1000);
      for (const waited of waitedMs) stages.observe({ stage: 'wait' }, waited / 1000);
    },

    /** Adds metrics that are read from the services on each scrape. */
    watch(services: Services): void {
      new Gauge({
        name: 'shazam_queue_length',
        help: 'Queries that wait for a worker.',
        labelNames: ['tower'],
        registers,
        collect() {
          this.set({ tower: 'vision' }, services.imageEncoder.made?.waiting ?? 0);
          this.set({ tower: 'text' }, services.textEncoder.made?.waiting ?? 0);
        },
      });
      new Gauge({
        name: 'shazam_albums',
        help: 'Albums that can be found.',
        registers,
        collect() {
          this.set(services.corpus.state.size ?? 0);
        },
      });
    },
  };
}

/** The pattern of the path, so that there is one label per endpoint and not one per album. */
function routeOf(request: Request): string {
  const { path } = (request.route ?? {}) as { path?: unknown };
  return typeof path === 'string' ? path : 'other';
}

/** `GET /metrics` */
export const metricsRouter = ({ registry }: Metrics) =>
  Router()
    .get('/metrics', async (_request, response) => {
      response.type(registry.contentType).send(await registry.metrics());
    })
    .all('/metrics', allowOnly('GET', 'HEAD'));
