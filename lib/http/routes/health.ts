import { Router } from 'express';
import { AppError } from '../../errors.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';

/** `GET /health`: the process is alive, and what it has loaded. `GET /ready`: everything is loaded and consistent. */
export function healthRouter({ services, readiness, startedAt }: HttpContext): Router {
  return Router()
    .get('/health', (_request, response) => {
      const start = performance.now();
      const { imageEncoder, textEncoder, assets } = services;
      const { index, features, catalog } = services.parts;
      const body = {
        status: 'healthy',
        models_loaded: {
          image_encoder: imageEncoder.made !== undefined,
          text_encoder: textEncoder.made !== undefined,
          index: index.made !== undefined,
          catalog: catalog.made !== undefined,
        },
        albums_indexed: index.made?.size ?? null,
        identification: features.made === undefined ? null : features.made !== null,
        catalog_issues: catalog.made?.issues ?? null,
        starter_set: assets.made ? assets.made.origin === 'starter' : null,
        uptime_seconds: Math.round((start - startedAt) / 100) / 10,
      };
      const elapsed = performance.now() - start;
      response
        .set('Cache-Control', 'no-store')
        .json({ ...body, response_time_ms: Math.round(1000 * elapsed) / 1000 });
    })
    .get('/ready', async (_request, response) => {
      const state = await readiness();
      if (!state.ready) throw new AppError('starting', state.reason);
      response
        .set('Cache-Control', 'no-store')
        .json({ status: 'ready', albums_indexed: services.parts.index.made?.size ?? null });
    })
    .all(['/health', '/ready'], allowOnly('GET', 'HEAD'));
}
