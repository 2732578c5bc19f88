import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { event, invoke } from './support/invoke.ts';
import { coverFile, starterIds } from './support/requests.ts';

const id = starterIds()[0] ?? 0;
const searchByImage = () => event('POST', '/api/search-by-image', 'k=1', coverFile(id));
const searchByText = () => event('GET', '/api/search-by-text', 'query=blue+star');

describe('what a function loads', () => {
  for (const [name, path, loads] of [
    ['health', '/health', []],
    ['image', `/api/image/${String(id)}`, ['catalog']], // rows may name the file of their cover
    ['root', '/', ['catalog']],
    ['stats', '/api/stats', ['catalog']],
    ['stats', '/api/genres', ['catalog']],
  ] as const)
    test(`${path.replace(/\d+/, '{id}')} loads no model and no native library`, async () => {
      const report = await invoke(name, [[event('GET', path)]]);
      assert.deepEqual(report.statuses, [200]);
      assert.deepEqual(report.loads, loads);
      assert.deepEqual(report.natives, []);
    });

  test('a search by image loads the image tower and not the text tower', async () => {
    const report = await invoke('search-by-image', [[searchByImage()]]);
    assert.deepEqual(report.statuses, [200]);
    assert.deepEqual(report.loads.sort(), ['catalog', 'image_encoder', 'index']);
  });

  test('a search by text loads the text tower, and neither the image tower nor sharp', async () => {
    const report = await invoke('search-by-text', [[searchByText()]]);
    assert.deepEqual(report.statuses, [200]);
    assert.deepEqual(report.loads.sort(), ['catalog', 'index', 'text_encoder']);
    assert.ok(!report.natives.includes('libvips'));
  });

  test('two warm invocations load once', async () => {
    const report = await invoke('search-by-image', [[searchByImage()], [searchByImage()]]);
    assert.deepEqual(report.statuses, [200, 200]);
    assert.deepEqual(report.loads.sort(), ['catalog', 'image_encoder', 'index']);
  });

  for (const [name, make] of [
    ['search-by-image', searchByImage],
    ['search-by-text', searchByText],
  ] as const)
    test(`ten concurrent first requests of ${name} load once`, async () => {
      const report = await invoke(name, [Array.from({ length: 10 }, make)]);
      assert.deepEqual(report.statuses, Array<number>(10).fill(200));
      assert.equal(report.loads.length, 3);
    });
});

describe('what a function logs', () => {
  test('an answered request is logged as one line with its status', async () => {
    const report = await invoke('search-by-image', [[searchByImage()]]);
    const lines = report.log.filter((line) => line['url'] !== undefined);
    assert.deepEqual(
      lines.map(({ msg, status, level }) => ({ msg, status, level })),
      [{ msg: 'answered', status: 200, level: 30 }],
    );
  });

  test('a refused request is logged as one line with its status and error code', async () => {
    const report = await invoke('search-by-text', [[event('GET', '/api/search-by-text')]]);
    const lines = report.log.filter((line) => line['url'] !== undefined);
    assert.deepEqual(
      lines.map(({ msg, status, code }) => ({ msg, status, code })),
      [{ msg: 'refused', status: 400, code: 'invalid_parameter' }],
    );
  });
});

describe('a stage in the path', () => {
  const settings = { BASE_PATH: '/prod' };

  test('is stripped from the path, and prefixed to cover URLs in the response', async () => {
    const path = '/prod/api/search-by-image';
    const report = await invoke('search-by-image', [[event('POST', path, 'k=1', coverFile(id))]], {
      settings,
    });
    const [result] = report.results;
    assert.equal(result?.statusCode, 200);
    const { results } = JSON.parse(result.body) as { results: Record<string, unknown>[] };
    assert.equal(results[0]?.['image_url'], `/prod/api/image/${String(id)}`);
  });

  test('may be missing: REST APIs pass the path without it', async () => {
    const report = await invoke('stats', [[event('GET', '/api/stats')]], { settings });
    assert.deepEqual(report.statuses, [200]);
  });

  test('is not stripped from a longer name', async () => {
    const report = await invoke('stats', [[event('GET', '/production/api/stats')]], { settings });
    assert.deepEqual(report.statuses, [404]);
  });

  test('is stripped from documentation paths, too', async () => {
    const report = await invoke('root', [[event('GET', '/prod/docs/start.js')]], { settings });
    assert.match(report.results[0]?.body ?? '', /url: 'openapi\.json'/);
  });
});

test('a picture that was corrupted as text is refused, naming the setting that fixes it', async () => {
  const asText = coverFile(id).toString('utf8');
  const { statuses, results } = await invoke('search-by-image', [
    [
      {
        ...{ httpMethod: 'POST', path: '/api/search-by-image', isBase64Encoded: false },
        ...{ headers: { 'Content-Type': 'image/jpeg' }, body: asText },
        requestContext: { identity: { sourceIp: '192.0.2.1' }, requestId: 'r' },
      },
    ],
  ]);
  assert.deepEqual(statuses, [400]);
  const problem = JSON.parse(results[0]?.body ?? '') as Record<string, unknown>;
  assert.equal(problem['code'], 'malformed_upload');
  assert.match(String(problem['detail']), /binaryMediaTypes/);
});

test('a library that fails to load is an internal error, not a bad picture', async () => {
  const { statuses, results, log } = await invoke('search-by-image', [[searchByImage()]], {
    settings: { NODE_OPTIONS: '--import ./test/support/broken-sharp.mjs' },
  });
  assert.deepEqual(statuses, [500]);
  assert.equal((JSON.parse(results[0]?.body ?? '') as { code: string }).code, 'internal_error');
  assert.ok(log.some((line) => JSON.stringify(line).includes('Could not load')));
});

describe('the time limit of an invocation', () => {
  test('leads to a 503 shortly before it expires if the work takes longer', async () => {
    // 520 ms minus the margin of 500 ms: no model loads in 20 ms
    const report = await invoke('search-by-image', [[searchByImage()]], { remainingMs: 520 });
    assert.deepEqual(report.statuses, [503]);
    const [result] = report.results;
    const problem = JSON.parse(result?.body ?? '') as Record<string, unknown>;
    assert.equal(problem['code'], 'out_of_time');
    assert.equal(result?.headers['retry-after'], '1');
    assert.match(result.headers['content-type'] ?? '', /^application\/problem\+json/);
  });

  test('does not affect a response that is ready in time', async () => {
    const report = await invoke('search-by-image', [[searchByImage()], [searchByImage()]], {
      remainingMs: 20_000,
    });
    assert.deepEqual(report.statuses, [200, 200]);
  });
});
