import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { contractCases, json } from './support/cases.ts';
import { checkCase as check } from './support/check-case.ts';
import {
  httpDoor,
  lambdaDoor,
  lambdaDoors,
  plainLoadBalancerEvent,
  type Door,
} from './support/doors.ts';
import { get, coverFile, starterIds, upload } from './support/requests.ts';
import { cleanEnvironment, startServer, type ServerProcess } from './support/server.ts';

const cases = await contractCases();
const { env, remove } = cleanEnvironment();
Object.assign(process.env, env, { LOG_LEVEL: 'silent', IDENTIFY: 'true' });
process.on('exit', remove);

/** Checks that a cover is answered with 304 if the client has it, and sent whole if not. */
const checkNotModified = async (door: Door) => {
  const path = `/api/image/${String(starterIds()[3])}`;
  const etag = (await door(get(path))).headers['etag'] ?? '';
  const again = await door(get(path, { 'if-none-match': etag }));
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);
  const other = await door(get(path, { 'if-none-match': '"other"' }));
  assert.equal(other.status, 200);
  assert.deepEqual(other.body, coverFile(starterIds()[3] ?? 0));
};

/** Checks 304 for a thumbnail that the client has, and that result pages are contiguous. */
const checkThumbnailAndPages = async (door: Door) => {
  const path = `/api/image/${String(starterIds()[3])}?size=320`;
  const accept = { accept: 'image/webp' };
  const etag = (await door(get(path, accept))).headers['etag'] ?? '';
  const again = await door(get(path, { ...accept, 'if-none-match': etag }));
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);

  const idsOf = async (query: string) => {
    const response = await door(get(`/api/search-by-text?query=green+waves&${query}`));
    return json<{ results: { album_id: number }[] }>(response).results.map((one) => one.album_id);
  };
  const pages = [await idsOf('k=4'), await idsOf('k=4&offset=4'), await idsOf('k=4&offset=8')];
  assert.deepEqual(pages.flat(), await idsOf('k=12'));
};

describe('a real server', () => {
  let server: ServerProcess;
  before(async () => (server = await startServer({ LOG_LEVEL: 'info' })));
  after(() => server.stop());
  for (const one of cases) test(one.name, () => check(httpDoor(server.url), one));
  test('a raw body without a content type is accepted if its bytes are a picture', async () => {
    const id = starterIds()[3] ?? 0;
    const response = await httpDoor(server.url)({
      method: 'POST',
      path: '/api/search-by-image?k=1',
      body: coverFile(id),
    });
    assert.equal(response.status, 200, response.body.toString());
    assert.equal(json<{ results: { album_id: number }[] }>(response).results[0]?.album_id, id);
  });
  test('a cover that the client has cached is not sent again', () =>
    checkNotModified(httpDoor(server.url)));
  test('a cached thumbnail is not sent again, and pages are contiguous', () =>
    checkThumbnailAndPages(httpDoor(server.url)));
});

for (const [name, door] of Object.entries(lambdaDoors))
  describe(`the built bundles, ${name}`, () => {
    for (const one of cases) test(one.name, () => check(door, one));
    test('a cover that the client has cached is not sent again', () => checkNotModified(door));
    test('a cached thumbnail is not sent again, and pages are contiguous', () =>
      checkThumbnailAndPages(door));
  });

test('a load balancer without multi-value headers gets plain ones', async () => {
  const id = starterIds()[3] ?? 0;
  const door = lambdaDoor(plainLoadBalancerEvent);
  const search = await door(upload(coverFile(id), '?k=2'));
  assert.equal(search.status, 200);
  const { results } = json<{ results: { album_id: number }[] }>(search);
  assert.equal(results[0]?.album_id, id);
  assert.equal(results.length, 2);
  const cover = await door(get(`/api/image/${String(id)}`));
  assert.deepEqual(cover.body, coverFile(id));
});
