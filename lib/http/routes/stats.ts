import { Router } from 'express';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';

/** `GET /api/stats`, `/api/genres` and `/api/year-range`: the catalog's contents, and the values for filters. */
export function statsRouter({ services }: HttpContext): Router {
  return Router()
    .get('/api/stats', async (_request, response) => {
      const statistics = await services.corpus.statistics();
      response.json({
        total_albums: statistics.totalAlbums,
        top_genres: statistics.topGenres,
        first_year: statistics.firstYear,
        last_year: statistics.lastYear,
        mean_pitchfork_score: statistics.meanScore,
        best_new_music: statistics.bestNewMusic,
      });
    })
    .get('/api/genres', async (_request, response) => {
      response.json({ genres: (await services.corpus.statistics()).genres });
    })
    .get('/api/year-range', async (_request, response) => {
      const { firstYear, lastYear } = await services.corpus.statistics();
      response.json({ year_min: firstYear, year_max: lastYear });
    })
    .all(['/api/stats', '/api/genres', '/api/year-range'], allowOnly('GET', 'HEAD'));
}
