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
    ['image', `/api/image/${String(id)}`, ['catalog']], // which may name the file
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

describe('the end of an invocation', () => {
  test('is answered 503 before it comes, where the work takes longer', async () => {
    // 520 ms less the margin of 500: no model is loaded in 20 ms
    const report = await invoke('search-by-image', [[searchByImage()]], { remainingMs: 520 });
    assert.deepEqual(report.statuses, [503]);
    const [result] = report.results;
    const problem = JSON.parse(result?.body ?? '') as Record<string, unknown>;
    assert.equal(problem['code'], 'out_of_time');
    assert.equal(result?.headers['retry-after'], '1');
    assert.match(result.headers['content-type'] ?? '', /^application\/problem\+json/);
  });

  test('does not disturb an answer that is ready in time', async () => {
    const report = await invoke('search-by-image', [[searchByImage()], [searchByImage()]], {
      remainingMs: 20_000,
    });
    assert.deepEqual(report.statuses, [200, 200]);
  });
});
