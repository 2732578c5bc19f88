import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, afterEach, before, describe, test } from 'node:test';
import {
  CreateBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { revalidateCopy } from '../lib/assets/download.ts';
import { S3Folder } from '../lib/assets/s3.ts';
import { json } from './support/cases.ts';
import { httpDoor } from './support/doors.ts';
import { startFaultProxy, type Fault, type FaultProxy } from './support/fault-proxy.ts';
import { event, invoke } from './support/invoke.ts';
import { largePhoto, noise } from './support/pictures.ts';
import { coverFile, form, get, starter, starterIds, upload } from './support/requests.ts';
import { startS3Server, s3Skip, type S3Server } from './support/s3-server.ts';
import { startServer, type ServerProcess } from './support/server.ts';
import { sendForm, type UploadTicket } from './support/upload-form.ts';

const bucket = 'assets';
const prefix = 'deep/down';
const id = starterIds()[5] ?? 0;
const cover = coverFile(id);
/** An album whose cover in the bucket is too large for a function's response. */
const largeId = starterIds()[6] ?? 0;
const large = Buffer.concat([cover, noise(5_000_000)]);

describe('assets in S3', { skip: s3Skip, timeout: 1_800_000 }, () => {
  let s3: S3Server;
  let proxy: FaultProxy;
  let client: S3Client;
  let cacheDir = '';
  const running = new Set<ServerProcess>();

  const put = (key: string, body: Buffer, more: object = {}) =>
    client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ...more }));

  before(async () => {
    s3 = await startS3Server();
    proxy = await startFaultProxy(s3.host);
    client = s3.client();
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    await client.send(new CreateBucketCommand({ Bucket: 'uploads' }));
    await put(`${prefix}/models/album_covers.index`, readFileSync(starter.indexPath));
    await put(`${prefix}/models/valid_metadata_final.json`, readFileSync(starter.metadataPath));
    for (const name of ['config.json', 'preprocessor_config.json', 'tokenizer.json'])
      await put(`${prefix}/models/clip/${name}`, readFileSync(join(starter.clipDir, name)));
    for (const name of readdirSync(join(starter.clipDir, 'onnx')))
      await put(
        `${prefix}/models/clip/onnx/${name}`,
        readFileSync(join(starter.clipDir, 'onnx', name)),
      );
    for (const one of starterIds().slice(0, 6))
      await put(`${prefix}/images/album_${String(one)}.jpg`, coverFile(one));
    await put(`${prefix}/images/album_${String(largeId)}.jpg`, large);
  });
  after(async () => {
    await proxy.stop();
    s3.stop();
  });

  const newCache = async () => (cacheDir = await mkdtemp(join(tmpdir(), 's3-cache-')));
  afterEach(async () => {
    proxy.reset();
    await Promise.all([...running].map((server) => server.stop()));
    running.clear();
    if (cacheDir) await rm(cacheDir, { recursive: true, force: true });
    cacheDir = '';
  });

  const settings = () => ({
    ...s3.env(proxy.endpoint),
    ASSETS_URI: `s3://${bucket}/${prefix}`,
    UPLOADS_URI: 's3://uploads/in',
    CACHE_DIR: cacheDir,
  });

  const start = async (
    until: 'ready' | 'listening' = 'ready',
    more: Record<string, string> = {},
  ): Promise<ServerProcess> => {
    if (!cacheDir) await newCache();
    const server = await startServer({ ...settings(), ...more }, until);
    running.add(server);
    return server;
  };

  const assertFinds = async (server: ServerProcess) => {
    const response = await httpDoor(server.url)(upload(cover, '?k=1'));
    assert.equal(response.status, 200, response.body.toString());
    assert.equal(json<{ results: { album_id: number }[] }>(response).results[0]?.album_id, id);
  };

  const cached = async () =>
    (await readdir(cacheDir, { recursive: true })).filter((name) =>
      statSync(join(cacheDir, name)).isFile(),
    );

  test('are fetched once and searched; covers are passed through with ETag, 304, Range and HEAD', async () => {
    const server = await start();
    await assertFinds(server);
    const fetched = server.log.filter((line) => line.msg === 'fetched').map((line) => line['uri']);
    assert.equal(new Set(fetched).size, fetched.length);
    assert.ok(fetched.includes(`s3://${bucket}/${prefix}/models/album_covers.index`));

    const door = httpDoor(server.url);
    const path = `/api/image/${String(id)}`;
    const whole = await door(get(path));
    assert.equal(whole.status, 200);
    assert.deepEqual(whole.body, cover);
    assert.equal(whole.headers['content-type'], 'image/jpeg');
    assert.equal(whole.headers['cache-control'], 'public, max-age=86400');
    const etag = whole.headers['etag'] ?? '';
    assert.equal(etag, `"${createHash('md5').update(cover).digest('hex')}"`);
    const again = await door(get(path, { 'if-none-match': etag }));
    assert.equal(again.status, 304);
    assert.equal(again.headers['etag'], etag);
    const part = await door(get(path, { range: 'bytes=10-19' }));
    assert.equal(part.status, 206);
    assert.deepEqual(part.body, cover.subarray(10, 20));
    assert.equal(part.headers['content-range'], `bytes 10-19/${String(cover.length)}`);
    const head = await door({ method: 'HEAD', path });
    assert.equal(head.headers['content-length'], String(cover.length));
    assert.equal(head.body.length, 0);
    const beyond = await door(get(path, { range: 'bytes=99999999-' }));
    assert.equal(json(beyond)['code'], 'range_not_satisfiable');
    assert.equal(beyond.headers['cache-control'], 'no-store');
    assert.equal(beyond.headers['etag'], undefined);
    const { 'last-modified': lastModified = '' } = whole.headers;
    for (const same of [etag, lastModified]) {
      const still = await door(get(path, { range: 'bytes=10-19', 'if-range': same }));
      assert.equal(still.status, 206, same);
      assert.deepEqual(still.body, cover.subarray(10, 20));
    }
    for (const other of ['"another"', `W/${etag}`, 'Thu, 01 Jan 1970 00:00:00 GMT']) {
      const anew = await door(get(path, { range: 'bytes=10-19', 'if-range': other }));
      assert.equal(anew.status, 200, other);
      assert.deepEqual(anew.body, cover);
    }
    const otherVersion = await door(get(path, { 'if-match': '"another"' }));
    assert.equal(otherVersion.status, 412);
    assert.equal(json(otherVersion)['code'], 'precondition_failed');
    const absent = await door(get(`/api/image/${String(starterIds()[20])}`));
    assert.equal(json(absent)['code'], 'cover_not_found');
    const nobody = await door(get('/api/image/999999'));
    assert.equal(json(nobody)['code'], 'album_not_found');
    const big = await door(get(`/api/image/${String(largeId)}`));
    assert.deepEqual(big.body, large, 'a large cover is passed through whole');
  });

  test('are taken from the cache, and fetched again only if they have changed', async () => {
    await (await start()).stop();
    const second = await start();
    assert.ok(!second.log.some((line) => line.msg === 'fetched'));
    assert.ok(second.log.some((line) => line.msg === 'in the cache'));
    await second.stop();
    const key = `${prefix}/models/valid_metadata_final.json`;
    const text = readFileSync(starter.metadataPath, 'utf8');
    await put(key, Buffer.from(text.replace(/"artist": ?"/, '"artist": "New ')));
    const third = await start();
    const fetched = third.log.filter((line) => line.msg === 'fetched').map((line) => line['uri']);
    assert.deepEqual(fetched, [`s3://${bucket}/${key}`]);
    await put(key, readFileSync(starter.metadataPath));
  });

  test('a truncated copy in the cache is never used', async () => {
    await (await start()).stop();
    const copy = (await cached()).find((name) => name.endsWith('album_covers.index')) ?? '';
    await truncate(join(cacheDir, copy), 1000);
    const server = await start();
    await assertFinds(server);
    assert.ok(!(await cached()).some((name) => name.includes('.new')));
  });

  test('a process killed during a fetch leaves nothing that is trusted', async () => {
    proxy.plan = ({ path, method }) =>
      method === 'GET' && path.includes('album_covers.index') ? 'stall' : undefined;
    const killed = await start('listening');
    while (!proxy.asked.some(({ method, path }) => method === 'GET' && path.includes('.index')))
      await sleep(20);
    killed.child.kill('SIGKILL');
    await killed.ended;
    proxy.reset();
    await assertFinds(await start());
  });

  test("concurrent fetches of a file do not delete each other's copies, and old leftovers are removed", async () => {
    await newCache();
    Object.assign(process.env, s3.env(proxy.endpoint));
    const models = S3Folder.open(`s3://${bucket}/${prefix}/models`, { pathStyle: true });
    const path = join(cacheDir, 'album_covers.index');
    const [old, young] = ['1'.repeat(36), '2'.repeat(36)].map((one) => `${path}.${one}.new`);
    for (const left of [old ?? '', young ?? '']) await writeFile(left, 'left');
    await utimes(old ?? '', 0, 0);
    await Promise.all(
      Array.from({ length: 4 }, () => revalidateCopy(models, 'album_covers.index', path)),
    );
    assert.ok((await readFile(path)).equals(await readFile(starter.indexPath)));
    // If two end at once, the note may describe the other's copy: it is not trusted then, and the file fetched again.
    await revalidateCopy(models, 'album_covers.index', path);
    assert.equal(await revalidateCopy(models, 'album_covers.index', path), false);
    assert.deepEqual((await cached()).sort(), [
      'album_covers.index',
      `album_covers.index.${'2'.repeat(36)}.new`,
      'album_covers.index.json',
    ]);
  });

  test('an object overwritten during a fetch is fetched again', async () => {
    const key = `${prefix}/models/valid_metadata_final.json`;
    let changed: Promise<unknown> | undefined;
    const original = readFileSync(starter.metadataPath);
    const other = Buffer.concat([original, Buffer.from('\n')]);
    proxy.plan = async ({ method, path }) => {
      // The object changes between the HEAD and the GET request.
      if (method === 'GET' && path.includes('valid_metadata')) await (changed ??= put(key, other));
      return undefined;
    };
    await assertFinds(await start());
    assert.ok(changed);
    const copy = (await cached()).find((name) => name.endsWith('valid_metadata_final.json')) ?? '';
    assert.deepEqual(await readFile(join(cacheDir, copy)), other);
    await put(key, original);
  });

  /** The fault hits the first `times` requests for each object; slow faults skip the models except for the index. */
  const atFirst = (fault: Fault, times: number, method = 'GET') => {
    const slow = fault === 'stall' || fault === 'silence';
    const hits = new Map<string, number>();
    proxy.plan = (asked) => {
      if (asked.method !== method || asked.path.includes('list-type')) return undefined;
      if (slow && asked.path.includes('/models/') && !asked.path.includes('.index'))
        return undefined;
      const [object = ''] = asked.path.split('?');
      const before = hits.get(object) ?? 0;
      hits.set(object, before + 1);
      return before < times ? fault : undefined;
    };
  };

  for (const [fault, times, method] of [
    ['reset', 2, 'GET'],
    ['reset', 2, 'HEAD'],
    ['slow_down', 2, 'GET'],
    ['truncate', 2, 'GET'],
    ['cut', 2, 'GET'],
    ['stall', 1, 'GET'],
    ['silence', 1, 'HEAD'],
    ['lie', 1, 'GET'],
  ] as const)
    test(`survives ${fault} of the first ${String(times)} ${method} requests for each file`, async () => {
      atFirst(fault, times, method);
      await assertFinds(await start());
      for (const name of await cached())
        if (name.endsWith('.index'))
          assert.deepEqual(await readFile(join(cacheDir, name)), readFileSync(starter.indexPath));
    });

  for (const [fault, code, sentence] of [
    ['reset', 'storage_unavailable', /album_covers\.index could not be read from S3/],
    ['slow_down', 'storage_unavailable', /could not be read from S3 \(SlowDown|503/],
    ['truncate', 'storage_unavailable', /could not be copied here/],
    ['stall', 'storage_unavailable', /received no data/],
    ['lie', 'storage_unavailable', /its MD5 does not match S3's/],
    ['deny', 'storage_unavailable', /AccessDenied.*must be allowed to read it/],
    ['vanish', 'assets_missing', /album_covers\.index is missing/],
  ] as const)
    test(`permanent ${fault} is a clear 503, and the next request after it works`, async () => {
      proxy.plan = ({ method, path }) =>
        method === 'GET' && path.includes('album_covers.index') ? fault : undefined;
      const server = await start('listening');
      const response = await httpDoor(server.url)(upload(cover));
      assert.equal(response.status, 503);
      assert.equal(json(response)['code'], code);
      assert.match(String(json(response)['detail']), sentence);
      assert.ok(response.headers['retry-after']);
      assert.equal((await httpDoor(server.url)(get('/health'))).status, 200);
      assert.ok(!(await cached()).some((name) => name.endsWith('.index')), 'nothing half is kept');
      proxy.reset();
      await assertFinds(server);
    });

  for (const [fault, times] of [
    ['truncate', 2],
    ['cut', 2],
    ['stall', 1],
    ['reset', 2],
  ] as const)
    test(`survives ${fault} of a cover ${String(times)} times`, async () => {
      const server = await start();
      atFirst(fault, times);
      const response = await httpDoor(server.url)(get(`/api/image/${String(id)}`));
      assert.equal(response.status, 200);
      assert.deepEqual(response.body, cover);
    });

  test('a cover that never arrives whole is a clear 503', async () => {
    const server = await start();
    proxy.plan = () => 'truncate';
    const response = await httpDoor(server.url)(get(`/api/image/${String(id)}`));
    assert.equal(response.status, 503);
    assert.equal(json(response)['code'], 'storage_unavailable');
  });

  test('a large cover that breaks off aborts the response instead of ending it normally', async () => {
    const server = await start();
    proxy.plan = () => 'truncate';
    await assert.rejects(httpDoor(server.url)(get(`/api/image/${String(largeId)}`)));
    await server.logged((line) => line['code'] === 'storage_unavailable');
    proxy.reset();
    await assertFinds(server);
  });

  test('covers are redirected to the CDN if one is set', async () => {
    const server = await start('ready', { CDN_URL: 'https://cdn.example/covers/' });
    const door = httpDoor(server.url);
    const response = await door(get(`/api/image/${String(id)}`));
    assert.equal(response.status, 302);
    assert.equal(
      response.headers['location'],
      `https://cdn.example/covers/album_${String(id)}.jpg`,
    );
    assert.equal(response.headers['cache-control'], 'public, max-age=86400');
    assert.equal(json(await door(get('/api/image/999999')))['code'], 'album_not_found');
  });

  test('a function fetches only what it needs, nothing of the other tower', async () => {
    await newCache();
    const search = event('POST', '/api/search-by-image', 'k=1', cover);
    const report = await invoke('search-by-image', [[search]], { settings: settings() });
    assert.deepEqual(report.statuses, [200]);
    const names = await cached();
    assert.ok(names.some((name) => name.endsWith('vision_model.onnx')));
    assert.ok(!names.some((name) => name.includes('text_model') || name.includes('tokenizer')));
  });

  test('a function redirects to a cover that is too large for its response', async () => {
    await newCache();
    const events = [largeId, id].map((one) => event('GET', `/api/image/${String(one)}`));
    const report = await invoke('image', [events], { settings: settings() });
    assert.deepEqual(report.statuses, [302, 200]);
    const [redirect] = report.results;
    const response = await fetch(redirect?.headers['location'] ?? '');
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), large);
    assert.equal(redirect?.headers['cache-control'], 'private, max-age=240');
    assert.deepEqual(report.loads, [], 'neither list nor index nor model');
  });

  test('a function answers 503 in time if a cover stalls every time', async () => {
    await newCache();
    proxy.plan = () => 'stall';
    const report = await invoke('image', [[event('GET', `/api/image/${String(id)}`)]], {
      settings: settings(),
      remainingMs: 4_000,
    });
    assert.deepEqual(report.statuses, [503]);
  });

  const invite = async (server: ServerProcess, type = 'image/jpeg') => {
    const response = await httpDoor(server.url)({
      method: 'POST',
      path: '/api/uploads',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ content_type: type })),
    });
    assert.equal(response.status, 201, response.body.toString());
    return json<UploadTicket>(response);
  };

  test('a photo of 9 MB is uploaded to S3, searched by once and deleted', async () => {
    const server = await start();
    const door = httpDoor(server.url);
    const ticket = await invite(server);
    assert.equal(ticket.max_bytes, 10 * 2 ** 20);
    assert.equal(ticket.expires_in, 300);
    const picture = await largePhoto(cover, 9e6);
    assert.equal(picture.length, 9e6);
    assert.equal(await sendForm(ticket, picture), 204);
    const search = {
      method: 'POST',
      path: `/api/search-by-image?k=1&upload_id=${ticket.upload_id}`,
    };
    const response = await door(search);
    assert.equal(response.status, 200, response.body.toString());
    assert.equal(json<{ results: { album_id: number }[] }>(response).results[0]?.album_id, id);
    const gone = new HeadObjectCommand({ Bucket: 'uploads', Key: `in/${ticket.upload_id}` });
    await assert.rejects(client.send(gone), { name: 'NotFound' });
    assert.equal(json(await door(search))['code'], 'upload_not_found');

    const second = await invite(server);
    assert.equal(await sendForm(second, cover), 204);
    const byForm = await door(
      form('/api/search-by-image', ['upload_id', second.upload_id], ['k', '1']),
    );
    assert.equal(byForm.status, 200, byForm.body.toString());
  });

  test('the policy of an upload fixes its key, its type and its length', async () => {
    const server = await start();
    const ticket = await invite(server, 'image/png');
    assert.equal(await sendForm(ticket, cover, { key: 'in/other' }), 403);
    assert.equal(await sendForm(ticket, cover, { 'Content-Type': 'text/html' }), 403);
    // S3 closes the connection once it has read too much: whether its response is read before that is a race.
    const status = await sendForm(ticket, noise(10 * 2 ** 20 + 1)).catch((error: unknown) => {
      assert.match(String(error), /fetch failed/);
      return 400;
    });
    assert.equal(status, 400);
    assert.equal(await sendForm(ticket, Buffer.alloc(0)), 400);
    const stored = new HeadObjectCommand({ Bucket: 'uploads', Key: `in/${ticket.upload_id}` });
    await assert.rejects(client.send(stored), { name: 'NotFound' });
    const wrong = await httpDoor(server.url)({
      method: 'POST',
      path: '/api/uploads',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"content_type":"text/html"}'),
    });
    assert.equal(json(wrong)['code'], 'invalid_parameter');
    const broken = await httpDoor(server.url)({
      method: 'POST',
      path: '/api/uploads',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{'),
    });
    assert.equal(json(broken)['code'], 'invalid_request');
    const badId = await httpDoor(server.url)({
      method: 'POST',
      path: '/api/search-by-image?upload_id=../models/album_covers.index',
    });
    assert.equal(json(badId)['code'], 'invalid_parameter');
  });

  test('an upload is read again if its transfer from S3 breaks off', async () => {
    const server = await start();
    const ticket = await invite(server);
    assert.equal(await sendForm(ticket, cover), 204);
    atFirst('truncate', 2);
    const response = await httpDoor(server.url)({
      method: 'POST',
      path: `/api/search-by-image?k=1&upload_id=${ticket.upload_id}`,
    });
    assert.equal(response.status, 200, response.body.toString());
  });
});
