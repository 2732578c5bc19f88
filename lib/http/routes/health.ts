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
      const { state } = services.corpus;
      const body = {
        status: 'healthy',
        models_loaded: {
          image_encoder: imageEncoder.made !== undefined,
          text_encoder: textEncoder.made !== undefined,
          index: state.embeddings,
          catalog: state.albums,
        },
        albums_indexed: state.size,
        identification: state.identification,
        catalog_issues: state.issues,
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
        .json({ status: 'ready', albums_indexed: services.corpus.state.size });
    })
    .all(['/health', '/ready'], allowOnly('GET', 'HEAD'));
}
