import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { httpDoor } from './support/doors.ts';
import { coverFile, get, starterIds, upload } from './support/requests.ts';
import { startServer } from './support/server.ts';

const [id = 0] = starterIds();

/** The value of a line in Prometheus's text format. */
const valueOf = (text: string, line: string): number => {
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  assert.ok(found, `${line} in ${text}`);
  return Number(found.slice(line.length + 1));
};

describe('GET /metrics', () => {
  test('counts and times requests, searches, batches, refusals and cached queries', async (t) => {
    const server = await startServer({ MAX_UPLOAD_MB: '1' });
    t.after(() => server.stop());
    const door = httpDoor(server.url);
    const metrics = async () => {
      const response = await door(get('/metrics'));
      assert.equal(response.status, 200);
      assert.match(response.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
      return response.body.toString();
    };
    await door(upload(coverFile(id), '?k=1'));
    await door(upload(coverFile(id), '?k=2')); // cached
    await door(get('/api/search-by-text?query=star'));
    await door(get('/api/search-by-text?query=star&k=0'));
    await door(get('/api/albums/99999999'));
    await door(get('/nothing/here'));
    const text = await metrics();
    for (const [line, value] of [
      ['shazam_requests_total{route="/api/search-by-image",method="POST",status="200"}', 2],
      ['shazam_requests_total{route="/api/search-by-text",method="GET",status="200"}', 1],
      ['shazam_requests_total{route="/api/search-by-text",method="GET",status="400"}', 1],
      ['shazam_requests_total{route="/api/albums/:album_id",method="GET",status="404"}', 1],
      ['shazam_requests_total{route="other",method="GET",status="404"}', 1],
      ['shazam_request_duration_seconds_count{route="/api/search-by-image"}', 2],
      ['shazam_refusals_total{code="invalid_parameter"}', 1],
      ['shazam_refusals_total{code="album_not_found"}', 1],
      ['shazam_search_duration_seconds_count{stage="wait"}', 2],
      ['shazam_search_duration_seconds_count{stage="encode"}', 2],
      ['shazam_search_duration_seconds_count{stage="nearest"}', 3],
      ['shazam_batch_size_count{tower="vision"}', 1],
      ['shazam_batch_size_bucket{le="1",tower="text"}', 1],
      ['shazam_queries_total{cached="true"}', 1],
      ['shazam_queries_total{cached="false"}', 2],
      ['shazam_queue_length{tower="vision"}', 0],
      ['shazam_albums', starterIds().length],
    ] as const)
      assert.equal(valueOf(text, line), value, line);
    assert.ok(valueOf(text, 'process_resident_memory_bytes') > 1e7);
    assert.ok(valueOf(text, 'nodejs_eventloop_lag_p99_seconds') >= 0);
    await server.stop();
  });

  test('labels requests by endpoint, whatever their path', async (t) => {
    const server = await startServer();
    t.after(() => server.stop());
    const door = httpDoor(server.url);
    for (const path of ['/api/image/1', '/api/image/2', '/x/1', '/x/2', '/metrics', '/'])
      await door(get(path));
    const text = (await door(get('/metrics'))).body.toString();
    const routes = new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route));
    assert.deepEqual([...routes].sort(), ['/', '/api/image/:album_id', '/metrics', 'other']);
    await server.stop();
  });

  test('METRICS_PORT moves the metrics off the public port', async (t) => {
    const server = await startServer({ METRICS_PORT: '0' });
    t.after(() => server.stop());
    assert.equal((await httpDoor(server.url)(get('/metrics'))).status, 404);
    const line = server.log.find((one) => one.msg === 'metrics');
    const response = await httpDoor(String(line?.['url']))(get('/metrics'));
    assert.equal(response.status, 200);
    assert.match(response.body.toString(), /^shazam_albums \d+$/m);
    assert.equal(await server.stop(), 0);
  });
});
