import type { Response } from 'express';
import { toIdentified, toResult } from '../search/result-json.ts';
import type { SearchAnswer } from '../search/search-service.ts';

/** Answers a search with its hits, and adds the timings to the request's log line. */
export function answerSearch(
  response: Response,
  queryType: 'image' | 'text' | 'name' | 'similar',
  { hits, identified, notes, cached, encodeMs, identifyMs, nearestMs }: SearchAnswer,
  more: object = {},
): void {
  response.locals['search'] = {
    ...(response.locals['search'] as object),
    results: hits.length,
    ...(identified && { identified: identified.length }),
    ...(cached && { cached }),
    encode_ms: toTenths(encodeMs),
    ...(identifyMs !== undefined && { identify_ms: toTenths(identifyMs) }),
    nearest_ms: toTenths(nearestMs),
  };
  response.json({
    success: true,
    query_type: queryType,
    ...(queryType === 'image' && { identified: identified?.map(toIdentified) ?? null }),
    total_results: hits.length,
    results: hits.map((hit) => toResult(hit, response.req.baseUrl)),
    ...(notes.length > 0 && { notes }),
    ...more,
  });
}

const toTenths = (ms: number) => Math.round(10 * ms) / 10;
