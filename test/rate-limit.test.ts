import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createApiKey } from '../lib/config/api-keys.ts';
import { json } from './support/cases.ts';
import { httpDoor, type Door } from './support/doors.ts';
import { event, invoke } from './support/invoke.ts';
import { get, starterIds } from './support/requests.ts';
import { startServer, type ServerProcess } from './support/server.ts';

const perMinute = 2;
const limited = '/api/year-range';

/** Starts a server with this low limit for the tests of one suite. */
function limitedServer(settings: Record<string, string>) {
  let server: ServerProcess;
  before(async () => {
    const limit = { RATE_LIMIT_PER_MINUTE: String(perMinute) };
    server = await startServer({ ...limit, ...settings }, 'listening');
  });
  after(() => server.stop());
  const ask: Door = (request) => httpDoor(server.url)(request);
  /** Statuses of sequential requests, one for each set of headers. */
  const statuses = async (requests: Record<string, string>[], path = limited) => {
    const answers: number[] = [];
    for (const headers of requests) answers.push((await ask(get(path, headers))).status);
    return answers;
  };
  return { ask, statuses };
}

const forwarded = (...addresses: string[]) => ({ 'x-forwarded-for': addresses.join(', ') });

describe('behind one proxy', () => {
  const { ask, statuses } = limitedServer({ TRUST_PROXY_HOPS: '1' });

  test('limits each client separately and says when to retry', async () => {
    const first = forwarded('192.0.2.1');
    assert.deepEqual(await statuses([first, first, first]), [200, 200, 429]);
    assert.deepEqual(await statuses([forwarded('192.0.2.2')]), [200]);
    const refused = await ask(get(limited, first));
    assert.equal(json(refused)['code'], 'rate_limited');
    assert.match(
      String(json(refused)['detail']),
      /^Expected at most 2 requests per minute from one address: /,
    );
    assert.match(refused.headers['retry-after'] ?? '', /^([1-9]|[1-5]\d|60)$/);
  });

  test('ignores what a client puts before the address added by the proxy', async () => {
    const spoofed = ['198.51.100.1', '198.51.100.2', 'nonsense', '2001:db8:f::1, 198.51.100.3'];
    assert.deepEqual(
      await statuses(spoofed.map((address) => forwarded(address, '192.0.2.3'))),
      [200, 200, 429, 429],
    );
  });

  for (const [what, addresses, answers] of [
    [
      'addresses of one /64 are one client',
      ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:db8:1:2::3'],
      [200, 200, 429],
    ],
    [
      'networks of one /56 are one client',
      ['2001:db8:3:100::1', '2001:db8:3:1ff::1', '2001:db8:3:142::1'],
      [200, 200, 429],
    ],
    [
      'networks of two /56 are two clients',
      ['2001:db8:4:0::1', '2001:db8:4:ff::1', '2001:db8:4:100::1'],
      [200, 200, 200],
    ],
    [
      'an IPv4 address written as IPv6 is the same client',
      ['192.0.2.4', '::ffff:192.0.2.4', '::ffff:c000:204'],
      [200, 200, 429],
    ],
    [
      'different IPv4 addresses written as IPv6 are different clients',
      ['::ffff:192.0.2.5', '::ffff:192.0.2.6', '::ffff:192.0.2.7'],
      [200, 200, 200],
    ],
    [
      'values that are not addresses are one client',
      ['nonsense', 'nonsense', 'nonsense'],
      [200, 200, 429],
    ],
  ] as const)
    test(what, async () => {
      assert.deepEqual(await statuses(addresses.map((address) => forwarded(address))), answers);
    });
});

describe('without a proxy', () => {
  const { statuses } = limitedServer({ HOST: '127.0.0.1' });

  test('ignores X-Forwarded-For and limits only /api/', async () => {
    const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((one) => forwarded(one));
    assert.deepEqual(await statuses(addresses), [200, 200, 429]);
    for (const path of ['/health', '/openapi.json', '/docs', '/'])
      assert.deepEqual(await statuses([{}, {}, {}], path), [200, 200, 200], path);
    assert.deepEqual(await statuses([{ accept: 'text/html' }], '/'), [200], 'the page');
  });
});

describe('with keys', () => {
  const [alice, bob] = [createApiKey('alice'), createApiKey('bob')];
  const { ask, statuses } = limitedServer({
    TRUST_PROXY_HOPS: '1',
    API_KEYS: `${alice.entry},${bob.entry}`,
  });
  const from = (address: string, key?: string) => ({
    ...forwarded(address),
    ...(key !== undefined && { 'x-api-key': key }),
  });

  test('limits each key, whatever address it comes from', async () => {
    const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
    assert.deepEqual(
      await statuses(addresses.map((address) => from(address, alice.key))),
      [200, 200, 429],
    );
    assert.deepEqual(await statuses([from('192.0.2.1', bob.key)]), [200]);
    const refused = json(await ask(get(limited, from('192.0.2.9', alice.key))));
    assert.match(
      String(refused['detail']),
      /^Expected at most 2 requests per minute with one key: /,
    );
  });

  test('counts requests without a known key by address', async () => {
    const unknown = from('192.0.2.7', createApiKey('alice').key);
    assert.deepEqual(await statuses([from('192.0.2.7'), unknown, unknown]), [401, 401, 429]);
    const cover = `/api/image/${String(starterIds()[0])}`;
    const visitor = from('192.0.2.8');
    assert.deepEqual(await statuses([visitor, visitor, visitor], cover), [200, 200, 429]);
  });
});

test('a function that does not receive client addresses limits all clients together', async () => {
  const { requestContext, ...rest } = event('GET', limited);
  const { method, path } = requestContext.http;
  const unknown = { ...rest, requestContext: { ...requestContext, http: { method, path } } };
  const report = await invoke('stats', [[unknown], [unknown], [unknown]], {
    settings: { RATE_LIMIT_PER_MINUTE: String(perMinute) },
  });
  assert.deepEqual(report.statuses, [200, 200, 429]);
});
