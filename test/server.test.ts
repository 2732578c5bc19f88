import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { canIdentify } from '../lib/identify/native.ts';
import { httpDoor } from './support/doors.ts';
import { json } from './support/cases.ts';
import { noise } from './support/pictures.ts';
import { coverFile, get, root, starter, starterIds, upload } from './support/requests.ts';
import { photoOf } from './support/identification.ts';
import { startServer, type ServerProcess } from './support/server.ts';
import { beginUpload, chunk, fileHead, formEnd, openWire, uploadHead } from './support/wire.ts';

const id = starterIds()[5] ?? 0;
const cover = coverFile(id);
const megabyte = 1024 * 1024;

const residentBytes = (pid: number | undefined): number => {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
};

const assertAnswers = async (server: ServerProcess) => {
  const response = await httpDoor(server.url)(upload(cover, '?k=1'));
  assert.equal(response.status, 200);
  assert.equal(json<{ results: { album_id: number }[] }>(response).results[0]?.album_id, id);
};

describe('uploads on the wire', () => {
  let server: ServerProcess;
  before(async () => (server = await startServer()));
  after(() => server.stop());

  test('refuses an 11 MB file with 413 by its length alone', async () => {
    const wire = await openWire(server.url);
    wire.write(uploadHead(11 * megabyte));
    const answer = await wire.until(/upload_too_large.*}/s);
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /larger than 10 MB/);
    wire.socket.destroy();
    await assertAnswers(server);
  });

  test('refuses an 11 MB file of unknown length with 413 before all of it has arrived, and does not buffer it', async () => {
    const before = residentBytes(server.child.pid);
    const wire = await openWire(server.url);
    wire.write(uploadHead());
    wire.write(chunk(Buffer.from(fileHead)));
    for (let i = 0; i < 159; i += 1) wire.write(chunk(noise(64 * 1024)));
    await wire.flushed();
    assert.equal(wire.received(), '', 'less than ten megabytes are none too many');
    wire.write(chunk(noise(128 * 1024))); // stop here: the form has not ended
    assert.match(await wire.until(/upload_too_large/), /^HTTP\/1\.1 413 /);
    for (let i = 0; i < 480; i += 1) wire.write(chunk(noise(64 * 1024)));
    await wire.flushed();
    const grown = residentBytes(server.child.pid) - before;
    assert.ok(
      grown < 40 * megabyte,
      `30 MB more were thrown away, yet memory grew by ${String(grown)}`,
    );
    wire.socket.destroy();
    await assertAnswers(server);
  });

  test('cuts off a client that keeps sending after its refusal', async () => {
    const wire = await openWire(server.url);
    wire.write(uploadHead());
    wire.write(chunk(Buffer.from('--other\r\n\r\n')));
    wire.write(chunk(Buffer.alloc(11 * megabyte)));
    assert.match(await wire.until(/upload_too_large/), /^HTTP\/1\.1 413 /);
    const goesOn = setInterval(() => {
      wire.write(chunk(Buffer.alloc(1024)));
    }, 100);
    await once(wire.socket, 'close');
    clearInterval(goesOn);
    await assertAnswers(server);
  });

  test('answers a stalled upload with 408', async () => {
    const server = await startServer({ UPLOAD_IDLE_SECONDS: '1' });
    const wire = await openWire(server.url);
    wire.write(uploadHead(cover.length + 500));
    wire.write(fileHead);
    wire.write(cover.subarray(0, 1000));
    assert.match(
      await wire.until(/upload_incomplete/),
      /^HTTP\/1\.1 408 .*nothing arrived for 1 seconds/s,
    );
    wire.socket.destroy();
    await assertAnswers(server);
    await server.stop();
  });

  test('answers a body shorter than its length with 4xx', async () => {
    const wire = await openWire(server.url);
    wire.write(uploadHead(cover.length + 500));
    wire.write(fileHead);
    wire.write(cover.subarray(0, 1000));
    wire.socket.end();
    assert.match(
      await wire.until(/"code":"(invalid_request|upload_incomplete)"/),
      /^HTTP\/1\.1 4\d\d /,
    );
    await assertAnswers(server);
  });

  test('logs a client that hangs up half-way and keeps serving', async () => {
    const wire = await openWire(server.url);
    wire.write(uploadHead(cover.length + 500).replace('Host:', 'X-Request-Id: hung-up\r\nHost:'));
    wire.write(fileHead);
    wire.write(cover.subarray(0, 1000));
    await wire.flushed();
    wire.socket.destroy();
    const line = await server.logged((one) => one['request_id'] === 'hung-up');
    assert.equal(line.msg, 'client hung up');
    await assertAnswers(server);
  });

  test('no path leads out of the covers folder', async () => {
    for (const path of [
      '..%2f..%2fpackage.json',
      '..%5cpackage.json',
      '%2e%2e/album_covers.index',
      '0%00.jpg',
    ]) {
      const response = await httpDoor(server.url)(get(`/api/image/${path}`));
      assert.ok([400, 404].includes(response.status), path);
      assert.match(response.headers['content-type'] ?? '', /^application\/problem\+json/);
    }
  });

  test('answers input that is not HTTP with 400', async () => {
    const wire = await openWire(server.url);
    wire.write('HELLO\r\n\r\n');
    assert.match(await wire.until(/invalid_request/), /^HTTP\/1\.1 400 /);
    await assertAnswers(server);
  });
});

describe('overload', () => {
  test('refuses an upload too many with 503 and Retry-After before reading it', async () => {
    const server = await startServer({ MAX_UPLOADS: '2' });
    const length = fileHead.length + cover.length + formEnd.length;
    const waiting = [await beginUpload(server.url, length), await beginUpload(server.url, length)];
    const refused = await openWire(server.url);
    refused.write(uploadHead(5 * megabyte));
    const answer = await refused.until(/"code":"busy"/);
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.match(answer, /\r\nRetry-After: 1\r\n/);
    for (const path of [
      '/api/search-by-text?query=star',
      `/api/albums/${String(id)}/similar`,
      '/health',
    ])
      assert.equal((await httpDoor(server.url)(get(path))).status, 200, path);
    for (const wire of waiting) {
      wire.write(Buffer.concat([cover, Buffer.from(formEnd)]));
      assert.match(await wire.until(/"success":true/), /^HTTP\/1\.1 200 /m);
      wire.socket.destroy();
    }
    refused.socket.destroy();
    await assertAnswers(server);
    await server.stop();
  });

  test('sixteen slow uploads do not block other requests and time out in the end', async () => {
    const server = await startServer({ MAX_WAITING_SEARCHES: '1', UPLOAD_SECONDS: '10' });
    const length = fileHead.length + cover.length + formEnd.length;
    const slow = await Promise.all(
      Array.from({ length: 16 }, () => beginUpload(server.url, length)),
    );
    const trickle = setInterval(() => {
      for (const wire of slow) wire.write(Buffer.of(0xff));
    }, 200);
    await assertAnswers(server);
    for (const path of ['/api/search-by-text?query=star', `/api/albums/${String(id)}/similar`])
      assert.equal((await httpDoor(server.url)(get(path))).status, 200, path);
    for (const wire of slow) {
      assert.match(
        await wire.until(/upload_incomplete/),
        /^HTTP\/1\.1 408 .*it was not complete after 10 seconds/ms,
      );
      wire.socket.destroy();
    }
    clearInterval(trickle);
    await server.stop();
  });

  test('refuses excess pictures with 503 and Retry-After, but still answers searches by text', async () => {
    const server = await startServer({ MAX_WAITING_SEARCHES: '1' });
    const door = httpDoor(server.url);
    const covers = starterIds().slice(0, 12).map(coverFile);
    const [pictures, texts] = await Promise.all([
      Promise.all(covers.map((one) => door(upload(one, '?k=1')))),
      door(get('/api/search-by-text?query=star')),
    ]);
    assert.equal(texts.status, 200);
    const refused = pictures.filter(({ status }) => status === 503);
    assert.ok(refused.length > 0 && refused.length < pictures.length);
    assert.ok(pictures.every(({ status }) => status === 200 || status === 503));
    for (const answer of refused) {
      assert.equal(json(answer)['code'], 'busy');
      assert.equal(answer.headers['retry-after'], '1');
    }
    await server.stop();
  });
});

test('encodes a repeated query once: another page, or the same words with other spacing', async () => {
  const server = await startServer();
  const door = httpDoor(server.url);
  const ask = async (name: string, request: Parameters<typeof door>[0]) => {
    const headers = { ...request.headers, 'x-request-id': name };
    const response = await door({ ...request, headers });
    assert.equal(response.status, 200);
    const line = await server.logged((one) => one['request_id'] === name);
    return {
      cached: line['cached'] === true,
      results: json<{ results: object[] }>(response).results,
    };
  };
  const first = await ask('picture-1', upload(cover, '?k=4'));
  const next = await ask('picture-2', upload(cover, '?k=2&offset=2'));
  assert.deepEqual([first.cached, next.cached], [false, true]);
  assert.deepEqual(next.results, first.results.slice(2));
  assert.equal(
    (await ask('picture-3', upload(coverFile(starterIds()[6] ?? 0), '?k=1'))).cached,
    false,
  );
  const words = await ask('text-1', get('/api/search-by-text?query=a%20red%20circle&k=3'));
  const spaced = await ask('text-2', get('/api/search-by-text?query=a%20%20red%09circle&k=3'));
  assert.deepEqual([words.cached, spaced.cached], [false, true]);
  assert.deepEqual(spaced.results, words.results);
  await server.stop();
});

describe('the lifecycle of the process', () => {
  test('logs each stage with its duration, the use of the starter set, and one line per request', async () => {
    const server = await startServer();
    await server.logged((line) => line['stage'] === 'names'); // built once the server is ready
    const stages = server.log.filter((line) => line.msg === 'loaded').map((line) => line['stage']);
    assert.deepEqual(stages.sort(), [
      'catalog',
      'features',
      'image_encoder',
      'index',
      'names',
      'text_encoder',
    ]);
    for (const line of server.log.filter((one) => one.msg === 'loaded'))
      assert.equal(typeof line['ms'], 'number');
    assert.ok(
      server.log.some((line) => line['starter_set'] === true && line.msg.includes('starter set')),
    );
    const response = await httpDoor(server.url)({
      ...upload(cover, '?k=2&genre=Nothing'),
      headers: { ...upload(cover).headers, 'x-request-id': 'abc-123' },
    });
    assert.equal(response.headers['x-request-id'], 'abc-123');
    const line = await server.logged((one) => one['request_id'] === 'abc-123');
    assert.equal(line['status'], 200);
    assert.equal(line['bytes'], cover.length);
    assert.equal(line['k'], 2);
    assert.equal(typeof line['ms'], 'number');
    assert.equal(server.log.filter((one) => one['request_id'] === 'abc-123').length, 1);
    assert.equal(await server.stop(), 0);
  });

  test('health says what is loaded and that this is the starter set', async () => {
    const server = await startServer();
    const body = json(await httpDoor(server.url)(get('/health')));
    assert.deepEqual(body['models_loaded'], {
      image_encoder: true,
      text_encoder: true,
      index: true,
      catalog: true,
    });
    assert.equal(body['starter_set'], true);
    assert.equal(body['albums_indexed'], starterIds().length);
    await server.stop();
  });

  test('on SIGTERM finishes requests in flight, then exits with 0', async () => {
    const server = await startServer();
    const wire = await beginUpload(server.url, fileHead.length + cover.length + formEnd.length);
    server.child.kill('SIGTERM');
    await server.logged((line) => line.msg === 'finishing requests in flight');
    await assert.rejects(fetch(`${server.url}/health`), 'no new connection is taken');
    wire.write(Buffer.concat([cover, Buffer.from(formEnd)]));
    assert.match(await wire.until(/"success":true/), /^HTTP\/1\.1 200 /m);
    assert.equal(await server.ended, 0);
  });

  test('an idle keep-alive connection does not delay the shutdown', async () => {
    const server = await startServer();
    const wire = await openWire(server.url);
    wire.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await wire.until(/"status":/);
    // It exits with 1 if it has to close connections after SHUTDOWN_SECONDS; this one is kept alive for longer.
    assert.equal(await server.stop(), 0);
  });

  test('ten concurrent first requests load everything once', async () => {
    const server = await startServer({}, 'listening');
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => httpDoor(server.url)(upload(cover, '?k=1'))),
    );
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
    await server.logged((line) => line.msg === 'ready');
    const loads = server.log.filter((line) => line.msg === 'loaded');
    assert.equal(loads.length, 6);
    await server.stop();
  });

  test('reports a port already in use in one line', async () => {
    const server = await startServer();
    const second = await startServer({ PORT: new URL(server.url).port }, 'spawned');
    const line = await second.logged((one) => one['code'] === 'invalid_config');
    assert.match(line.msg, /port \d+ is already in use: set PORT to another/);
    assert.equal(await second.ended, 1);
    await server.stop();
  });

  for (const [settings, sentence] of [
    [{ PORT: 'http' }, 'Expected an integer from 0 to 65535 for PORT but received "http".'],
    [{ CLIP_DTYPE: 'int4' }, 'Expected fp32, fp16 or q8 for CLIP_DTYPE but received "int4".'],
    [
      { MAX_K: '0', LOG_LEVEL: 'loud' },
      'Expected an integer from 1 to 200 for MAX_K but received "0". Expected fatal, error, warn, info, debug, trace or silent for LOG_LEVEL but received "loud".',
    ],
  ] as const)
    test(`refuses the environment ${JSON.stringify(settings)} and says what was expected`, async () => {
      const server = await startServer(settings, 'spawned');
      const line = await server.logged((one) => one['code'] === 'invalid_config');
      assert.equal(line.msg, sentence);
      assert.equal(await server.ended, 1);
    });
});

describe("the user's files", () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'user-files-'))));
  after(() => rm(folder, { recursive: true }));

  /** A full set of user files, copied from the starter set. */
  const userFiles = async (name: string) => {
    const dir = join(folder, name);
    await mkdir(join(dir, 'clip'), { recursive: true });
    await cp(starter.indexPath, join(dir, 'album_covers.index'));
    await cp(starter.metadataPath, join(dir, 'valid_metadata_final.json'));
    for (const part of ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'onnx'])
      await cp(join(starter.clipDir, part), join(dir, 'clip', part), { recursive: true });
    return dir;
  };

  test('are served without mention of the starter set', async () => {
    const dir = await userFiles('whole');
    const server = await startServer({ MODELS_DIR: dir, IMAGES_DIR: starter.imagesDir });
    const body = json(await httpDoor(server.url)(get('/')));
    assert.equal(body['starter_set'], false);
    assert.doesNotMatch(String(body['model']), /starter/);
    assert.ok(!server.log.some((line) => line['starter_set'] === true));
    await assertAnswers(server);
    await server.stop();
  });

  for (const missing of [
    'album_covers.index',
    'valid_metadata_final.json',
    'clip/tokenizer.json',
    'clip/onnx/text_model.onnx',
  ])
    test(`without ${missing} the server refuses to start and names it`, async () => {
      const dir = await userFiles(`without-${missing.replaceAll('/', '-')}`);
      await rm(join(dir, missing));
      const server = await startServer({ MODELS_DIR: dir }, 'spawned');
      const line = await server.logged((one) => one['code'] === 'assets_missing');
      assert.match(line.msg, new RegExp(`Missing: ${join(dir, missing)}\\.`));
      assert.equal(await server.ended, 1);
    });

  test('a Git LFS pointer in place of a file is reported as such', async () => {
    const dir = await userFiles('lfs-pointer');
    await writeFile(
      join(dir, 'album_covers.index'),
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 52817965\n',
    );
    const server = await startServer({ MODELS_DIR: dir }, 'spawned');
    const line = await server.logged((one) => one['code'] === 'assets_missing');
    assert.match(line.msg, /album_covers\.index is a Git LFS pointer.*git lfs pull/);
    assert.equal(await server.ended, 1);
  });

  test('a MODELS_DIR that does not exist is reported', async () => {
    const server = await startServer({ MODELS_DIR: join(folder, 'absent') }, 'spawned');
    const line = await server.logged((one) => one['code'] === 'assets_missing');
    assert.match(line.msg, /absent, which is not a folder/);
    assert.equal(await server.ended, 1);
  });

  /** Asserts that a server with damaged files stays up and gives the reason in /ready and when refusing searches. */
  const assertLivesAndTells = async (dir: string, code: string, sentence: RegExp) => {
    const server = await startServer({ MODELS_DIR: dir }, 'listening');
    await server.logged((line) => line['code'] === code);
    const door = httpDoor(server.url);
    assert.equal((await door(get('/health'))).status, 200);
    const ready = await door(get('/ready'));
    assert.equal(ready.status, 503);
    assert.match(String(json(ready)['detail']), sentence);
    const asked = await server.logged((line) => line['url'] === '/ready');
    assert.deepEqual([asked['level'], asked['err']], [30, undefined]); // the cause was logged once, when loading failed
    const search = await door(upload(cover));
    assert.equal(search.status, 503);
    assert.equal(json(search)['code'], code);
    assert.match(String(json(search)['detail']), sentence);
    assert.ok(search.headers['retry-after']);
    assert.equal(await server.stop(), 0);
  };

  test('a truncated index does not stop the server and is named in its responses', async () => {
    const dir = await userFiles('truncated-index');
    await truncate(join(dir, 'album_covers.index'), 5000);
    await assertLivesAndTells(dir, 'index_unreadable', /album_covers\.index/);
  });

  test('a list shorter than the index is refused with both numbers', async () => {
    const dir = await userFiles('short-list');
    const path = join(dir, 'valid_metadata_final.json');
    const rows = JSON.parse(await readFile(path, 'utf8')) as unknown[];
    await writeFile(path, JSON.stringify(rows.slice(1)));
    const n = starterIds().length;
    await assertLivesAndTells(
      dir,
      'assets_inconsistent',
      new RegExp(
        `${String(n)} vectors but .*valid_metadata_final\\.json lists ${String(n - 1)} albums`,
      ),
    );
  });

  test('an index of another dimension is refused with both numbers', async () => {
    const { VectorIndex } = await import('../lib/vectors/vector-index.ts');
    const dir = await userFiles('other-dimension');
    const index = await VectorIndex.create({ dimension: 256, metric: 'inner_product' });
    index.add(new Float32Array(256 * starterIds().length).fill(0.0625));
    await index.write(join(dir, 'album_covers.index'));
    await assertLivesAndTells(dir, 'assets_inconsistent', /512 dimensions but .* vectors of 256/);
  });

  test('a damaged model is named', async () => {
    const dir = await userFiles('damaged-model');
    await writeFile(join(dir, 'clip', 'onnx', 'vision_model.onnx'), 'not a model');
    await assertLivesAndTells(dir, 'model_unreadable', /vision_model\.onnx/);
  });

  test('a repaired file is read by the next request, without a restart', async () => {
    const dir = await userFiles('mended');
    const path = join(dir, 'album_covers.index');
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, 3000));
    const server = await startServer(
      { MODELS_DIR: dir, IMAGES_DIR: starter.imagesDir },
      'listening',
    );
    await server.logged((line) => line['code'] === 'index_unreadable');
    await writeFile(path, whole);
    await assertAnswers(server);
    await httpDoor(server.url)(get('/ready'));
    await server.logged((line) => line.msg === 'ready');
    assert.equal((await httpDoor(server.url)(get('/ready'))).status, 200);
    await server.stop();
  });

  test('a cover missing on disk is distinguished from a nonexistent album', async () => {
    const dir = await userFiles('no-covers');
    const server = await startServer({ MODELS_DIR: dir, IMAGES_DIR: join(root, 'docs') });
    const response = await httpDoor(server.url)(get(`/api/image/${String(id)}`));
    assert.equal(response.status, 404);
    assert.equal(json(response)['code'], 'cover_not_found');
    await server.stop();
  });
});

test('a thousand searches by four concurrent clients all succeed', async () => {
  const server = await startServer();
  const door = httpDoor(server.url);
  const ids = starterIds();
  const client = async (first: number) => {
    for (let i = first; i < 1000; i += 4) {
      const wanted = ids[i % ids.length] ?? 0;
      const request =
        i % 3 === 0
          ? get(`/api/search-by-text?query=blue+${String(i)}`)
          : upload(coverFile(wanted));
      const response = await door(request);
      assert.equal(response.status, 200, response.body.toString());
      const { results } = json<{ results: { album_id: number }[] }>(response);
      assert.equal(results.length, 10);
      if (i % 3 !== 0) assert.equal(results[0]?.album_id, wanted);
    }
  };
  await Promise.all([0, 1, 2, 3].map(client));
  assert.ok(!server.log.some((line) => line['code'] !== undefined));
  await server.stop();
});

test(
  'identifies and locates both sleeves in a photo of a table',
  { skip: canIdentify() ? false : 'the addon is not built: there is no C++ compiler' },
  async () => {
    const server = await startServer();
    const door = httpDoor(server.url);
    const ids = [71, 17];
    const [large = Buffer.alloc(0), small = Buffer.alloc(0)] = ids.map(coverFile);
    const { photo, outlines } = await photoOf(
      [
        { cover: large, x: 480, y: 500, edge: 520, angle: -9 },
        { cover: small, x: 1030, y: 620, edge: 400, angle: 16 },
      ],
      { width: 1400, height: 1050 },
    );
    const answer = json<{
      identified: { album_id: number; outline: [number, number][] }[];
      results: { album_id: number }[];
    }>(await door(upload(photo, '?k=2')));
    assert.deepEqual(
      answer.identified.map(({ album_id }) => album_id),
      ids,
    );
    assert.deepEqual(
      answer.results.map(({ album_id }) => album_id),
      ids,
    );
    for (const [i, { outline }] of answer.identified.entries())
      for (const [corner, [x, y]] of outline.entries()) {
        const [expectedX = NaN, expectedY = NaN] = outlines[i]?.[corner] ?? [];
        assert.ok(Math.hypot(x - expectedX, y - expectedY) < 0.005, JSON.stringify(outline));
      }
    await server.stop();
  },
);
