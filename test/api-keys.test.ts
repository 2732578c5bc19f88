import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createApiKey, nameOfKey, parseApiKeys } from '../lib/config/api-keys.ts';
import { loadConfig } from '../lib/config/config.ts';
import { isAppError } from '../lib/errors.ts';
import { openApiDocument } from '../lib/http/openapi.ts';
import { json } from './support/cases.ts';
import { cli, eventsOf } from './support/cli.ts';
import { httpDoor, type Door } from './support/doors.ts';
import { event, invoke } from './support/invoke.ts';
import { coverFile, get, starterIds, upload } from './support/requests.ts';
import { startServer, type ServerProcess } from './support/server.ts';
import { openWire, uploadHead } from './support/wire.ts';

const alice = createApiKey('alice');
const bob = createApiKey('bob');
const stranger = createApiKey('stranger');
const settings = { API_KEYS: `${alice.entry}, ${bob.entry}` };

const id = starterIds()[5] ?? 0;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** Every request under /api/ that needs a key. */
const guarded = [
  get('/api/search-by-text?query=star&k=1'),
  get(`/api/albums/${String(id)}`),
  get(`/api/albums/${String(id)}/similar?k=1`),
  get('/api/stats'),
  get('/api/genres'),
  get('/api/year-range'),
  upload(coverFile(id), '?k=1'),
];

describe('a key', () => {
  test('is 256 random bits, and its entry contains only their SHA-256', () => {
    assert.match(alice.key, /^sv_[\w-]{43}$/);
    assert.equal(Buffer.from(alice.key.slice(3), 'base64url').length, 32);
    assert.equal(alice.entry, `alice:${createHash('sha256').update(alice.key).digest('hex')}`);
    assert.notEqual(createApiKey('alice').key, alice.key);
  });

  test('is recognised by its hash in any entry, in either case', () => {
    const keys = parseApiKeys(`${alice.entry},bob:${bob.entry.slice(4).toUpperCase()}`, 'API_KEYS');
    assert.equal(nameOfKey(keys, alice.key), 'alice');
    assert.equal(nameOfKey(keys, bob.key), 'bob');
    for (const other of [stranger.key, '', 'alice', alice.entry, `${alice.key} `])
      assert.equal(nameOfKey(keys, other), undefined, other);
  });

  test('is created by the command line, with plain or JSON output', async () => {
    const { status, output } = await cli(['key', 'create', 'carol']);
    assert.equal(status, 0);
    const [key = ''] = /sv_[\w-]{43}/.exec(output) ?? [];
    const [entry = ''] = /carol:[0-9a-f]{64}/.exec(output) ?? [];
    assert.equal(nameOfKey(parseApiKeys(entry, 'API_KEYS'), key), 'carol');
    const [told] = eventsOf((await cli(['key', 'create', 'carol', '--json'])).output);
    assert.deepEqual(Object.keys(told ?? {}), ['type', 'name', 'key', 'entry']);
    assert.equal(
      nameOfKey(parseApiKeys(String(told?.['entry']), 'x'), String(told?.['key'])),
      'carol',
    );
  });

  for (const name of ['', 'a:b', 'a,b', 'two words', 'é', 'x'.repeat(65), alice.key])
    test(`is not created for the name "${name.slice(0, 12)}"`, async () => {
      const { status, output, errors } = await cli(['key', 'create', '--', name]);
      assert.equal(status, 2);
      assert.equal(output, '');
      assert.match(errors, /Expected 1 to 64 letters, digits, dots, dashes or underscores/);
    });

  const { key, entry } = createApiKey('dora');
  const hash = entry.slice('dora:'.length);
  for (const [what, value, wrong] of [
    ['a key alone', key, 'entry 1 .* it is not two parts separated by a colon'],
    ['a key for a hash', `${alice.entry},dora:${key}`, 'entry 2 .* its hash is not 64 hexadecimal'],
    ['a key for a name', `${key}:${hash}`, 'entry 1 .* its name is not 1 to 64 letters'],
    ['a hash that is cut', entry.slice(0, -1), 'entry 1 .* its hash is not 64 hexadecimal'],
    ['three parts', `${entry}:${key}`, 'entry 1 .* it is not two parts'],
    ['no name', `:${hash}`, 'entry 1 .* its name is not'],
    ['nothing after a comma', `${entry},`, 'entry 2 .* it is not two parts'],
    [
      'a name twice',
      `${entry},${alice.entry},dora:${bob.entry.slice(4)}`,
      'entry 3 .* its name is a duplicate',
    ],
    ['a key twice', `${entry},eva:${hash}`, 'entry 2 .* its key is a duplicate'],
  ] as const)
    test(`API_KEYS with ${what} is refused, without revealing the key or its hash`, () => {
      assert.throws(
        () => loadConfig({ API_KEYS: value }),
        (error: unknown) => {
          assert.ok(isAppError(error) && error.code === 'invalid_config');
          assert.match(error.message, new RegExp(`for ${wrong}`));
          assert.match(error.message, /of API_KEYS/);
          assert.ok(!error.message.includes(key) && !error.message.includes(hash), error.message);
          assert.deepEqual(error.parameters, ['API_KEYS']);
          return true;
        },
      );
    });
});

describe('a server with keys', () => {
  let server: ServerProcess;
  let door: Door;
  before(async () => {
    server = await startServer({ ...settings, RATE_LIMIT_PER_MINUTE: '1000' });
    door = httpDoor(server.url);
  });
  after(() => server.stop());

  const assertRefused = async (request: Parameters<Door>[0]) => {
    const response = await door(request);
    assert.equal(response.status, 401, request.path);
    assert.equal(json(response)['code'], 'unauthorized');
    assert.equal(response.headers['www-authenticate'], 'Bearer realm="shazam-visual"');
    assert.equal(response.headers['cache-control'], 'no-store');
  };

  for (const request of [...guarded, get('/api/nothing'), get('/API/Stats')])
    test(`${request.method} ${request.path} requires a key`, async () => {
      await assertRefused(request);
      for (const headers of [
        bearer(stranger.key),
        { 'x-api-key': stranger.key },
        { authorization: `Basic ${alice.key}` },
        { authorization: alice.key },
        { 'x-api-key': alice.entry },
        { 'x-api-key': '' },
      ])
        await assertRefused({ ...request, headers: { ...request.headers, ...headers } });
      await assertRefused({
        ...request,
        path: `${request.path}${request.path.includes('?') ? '&' : '?'}key=${alice.key}`,
      });
    });

  for (const request of guarded)
    test(`${request.method} ${request.path} accepts a key in either header`, async () => {
      for (const headers of [
        bearer(alice.key),
        { authorization: `bearer  ${bob.key}` },
        { 'x-api-key': bob.key },
        { ...bearer('hf_of_a_proxy'), 'x-api-key': bob.key },
        { ...bearer(alice.key), 'x-api-key': 'of another gateway' },
      ]) {
        const response = await door({ ...request, headers: { ...request.headers, ...headers } });
        assert.equal(response.status, 200, response.body.toString());
        assert.equal(response.headers['cache-control'], 'private', 'no cache gives it to others');
      }
    });

  for (const path of [
    '/',
    '/health',
    '/ready',
    '/openapi.json',
    '/docs',
    `/api/image/${String(id)}`,
    `/api/image/${String(id)}?size=160`,
  ])
    test(`${path} needs no key`, async () => {
      const response = await door(get(path));
      assert.equal(response.status, 200);
      assert.notEqual(response.headers['cache-control'], 'private');
    });

  test('the page and its assets need no key', async () => {
    const page = await door(get('/', { accept: 'text/html' }));
    assert.equal(page.status, 200);
    const assets = [...page.body.toString().matchAll(/assets\/[\w.-]+/g)].map(([name]) => name);
    assert.ok(assets.length >= 2);
    for (const name of assets) assert.equal((await door(get(`/${name}`))).status, 200, name);
  });

  test('paths that only resemble the path of a cover are not public', async () => {
    for (const path of [
      '/api/image/../stats',
      '/api/image/..%2fstats',
      '/api//stats',
      '//api/stats',
    ])
      assert.notEqual((await door(get(path))).status, 200, path);
  });

  test('a preflight needs no key, and allows both headers', async () => {
    const response = await door({
      method: 'OPTIONS',
      path: '/api/search-by-image',
      headers: {
        origin: 'https://page.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-api-key',
      },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers['access-control-allow-headers'], 'authorization,x-api-key');
    const refused = await door(get('/api/stats', { origin: 'https://page.example' }));
    assert.equal(refused.status, 401);
    assert.equal(refused.headers['access-control-allow-origin'], '*', 'pages elsewhere read why');
  });

  test('an upload without a key is refused before its body arrives', async () => {
    const wire = await openWire(server.url);
    wire.write(uploadHead(5 * 1024 * 1024));
    const answer = await wire.until(/"code":"unauthorized"/);
    assert.match(answer, /^HTTP\/1\.1 401 /);
    wire.socket.destroy();
  });

  test('the log names the key but never contains one, even from a URL or an invalid parameter', async () => {
    const ask = async (name: string, path: string, headers: Record<string, string>) => {
      await door(get(path, { ...headers, 'x-request-id': name }));
      return server.logged((line) => line['request_id'] === name);
    };
    assert.equal((await ask('log-1', '/api/stats', bearer(bob.key)))['key'], 'bob');
    const refused = await ask('log-2', '/api/stats', bearer(stranger.key));
    assert.deepEqual([refused['key'], refused['code']], [undefined, 'unauthorized']);
    const inUrl = await ask('log-3', `/api/stats?api_key=${alice.key}&x=1`, bearer(alice.key));
    assert.equal(inUrl['url'], '/api/stats?api_key=sv_…&x=1');
    const detail = await ask('log-4', `/api/search-by-text?query=a&k=${bob.key}`, bearer(bob.key));
    assert.match(String(detail['detail']), /received "sv_…"/);
    const log = JSON.stringify(server.log);
    for (const { key, entry } of [alice, bob, stranger]) {
      assert.ok(!log.includes(key));
      assert.ok(!log.includes(entry.split(':')[1] ?? ''));
    }
  });
});

test('a server with an invalid API_KEYS does not start, and reports which entry is wrong', async () => {
  const server = await startServer({ API_KEYS: `${alice.entry},${bob.key}` }, 'spawned');
  const line = await server.logged((one) => one['code'] === 'invalid_config');
  assert.match(line.msg, /entry 2 of API_KEYS/);
  assert.equal(await server.ended, 1);
});

describe('a function with keys', () => {
  const ask = (headers: Record<string, string>) => ({ ...event('GET', '/api/stats'), headers });

  test('requires a key, like the server', async () => {
    const report = await invoke(
      'stats',
      [[ask({}), ask(bearer(stranger.key)), ask(bearer(alice.key)), ask({ 'X-API-Key': bob.key })]],
      { settings },
    );
    assert.deepEqual(report.statuses, [401, 401, 200, 200]);
    assert.equal(report.results[0]?.headers['www-authenticate'], 'Bearer realm="shazam-visual"');
  });
});

describe('the OpenAPI document', () => {
  const open = ['/', '/health', '/ready', '/openapi.json', '/docs', '/api/image/{album_id}'];
  const either = [{ bearerKey: [] }, { headerKey: [] }];

  for (const [what, env, security] of [
    ['with keys requires either header', settings, either],
    ['without keys says that none is required', {}, [{}, ...either]],
  ] as const)
    test(what, () => {
      const document = openApiDocument(loadConfig(env));
      assert.deepEqual(document.security, security);
      const { bearerKey, headerKey } = document.components.securitySchemes;
      assert.deepEqual([bearerKey.type, bearerKey.scheme], ['http', 'bearer']);
      assert.deepEqual(
        [headerKey.type, headerKey.in, headerKey.name],
        ['apiKey', 'header', 'X-API-Key'],
      );
      for (const [path, methods] of Object.entries(document.paths))
        for (const operation of Object.values(methods) as { security?: []; responses: object }[]) {
          const isOpen = open.includes(path);
          assert.deepEqual(operation.security, isOpen ? [] : undefined, path);
          assert.equal('401' in operation.responses, !isOpen, path);
        }
    });
});
