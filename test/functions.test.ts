import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { coverFile, root, starterIds } from './support/requests.ts';
import { cleanEnvironment } from './support/server.ts';

const { env, remove } = cleanEnvironment();
after(remove);

interface Report {
  /** Stages that were loaded, one entry per load. */
  loads: string[];
  /** Native libraries that the process has mapped. */
  natives: string[];
  statuses: number[];
}

/**
 * Runs a built bundle in a process of its own: sends each of the rounds' events at once, one round after
 * the other, and reports what the process loaded for it.
 */
async function invoke(name: string, rounds: object[][]): Promise<Report> {
  const program = `
    const lines = [];
    const write = process.stdout.write.bind(process.stdout);
    const { readFileSync } = require('node:fs');
    const rounds = JSON.parse(readFileSync(0, 'utf8'));
    const { handler } = require(${JSON.stringify(join(root, 'dist', 'functions', `${name}.cjs`))});
    (async () => {
      const statuses = [];
      for (const events of rounds) {
        const results = await Promise.all(events.map((event) => handler(event, {})));
        statuses.push(...results.map((result) => result.statusCode));
      }
      const maps = readFileSync('/proc/self/maps', 'utf8');
      const natives = ['onnxruntime', 'faiss-node', 'libvips'].filter((name) => maps.includes(name));
      write('REPORT ' + JSON.stringify({ natives, statuses }) + '\\n');
    })();`;
  const running = promisify(execFile)(process.execPath, ['-e', program], {
    cwd: root,
    env,
    maxBuffer: 1e8,
  });
  running.child.stdin?.end(JSON.stringify(rounds));
  const { stdout } = await running;
  const lines = stdout.trim().split('\n');
  const report = lines.find((line) => line.startsWith('REPORT ')) ?? '';
  const loads = lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { msg: string; stage: string })
    .filter((line) => line.msg === 'loaded')
    .map((line) => line.stage);
  return { loads, ...(JSON.parse(report.slice('REPORT '.length)) as Omit<Report, 'loads'>) };
}

const event = (method: string, path: string, query = '', body?: Buffer, type = 'image/jpeg') => ({
  version: '2.0',
  rawPath: path,
  rawQueryString: query,
  headers: body ? { 'content-type': type } : {},
  requestContext: { http: { method, path, sourceIp: '192.0.2.1' }, requestId: 'r' },
  body: body?.toString('base64'),
  isBase64Encoded: body !== undefined,
});

const id = starterIds()[0] ?? 0;
const searchByImage = () => event('POST', '/api/search-by-image', 'k=1', coverFile(id));
const searchByText = () => event('GET', '/api/search-by-text', 'query=blue+star');

describe('what a function loads', () => {
  for (const [name, path, loads] of [
    ['health', '/health', []],
    ['image', `/api/image/${String(id)}`, []],
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
