import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { httpDoor } from '../support/doors.ts';
import { event } from '../support/invoke.ts';
import { json } from '../support/cases.ts';
import { heicPhoto, largePhoto } from '../support/pictures.ts';
import { coverFile, get, starter, starterIds, upload } from '../support/requests.ts';
import { s3Skip, startS3Server } from '../support/s3-server.ts';
import { sendForm, type UploadTicket } from '../support/upload-form.ts';
import { buildImage, imageSkip, runImage, type ContainerProcess, type Image } from './container.ts';
import { startRuntimeApi, type LambdaResult, type RuntimeApi } from './runtime-api.ts';

const id = starterIds()[5] ?? 0;
const cover = coverFile(id);
/** What the image may take on a disk, in bytes, models left out. */
const limitBytes = 650e6;

/** What Lambda sets for every function. */
const lambdaEnvironment = (name: string, api: RuntimeApi) => ({
  AWS_LAMBDA_RUNTIME_API: api.host,
  AWS_LAMBDA_FUNCTION_NAME: name,
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '3008',
  AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
  AWS_LAMBDA_LOG_STREAM_NAME: 'test',
});

const firstId = (body: string) =>
  (JSON.parse(body) as { results: { album_id: number }[] }).results[0]?.album_id;

describe('the image', { skip: imageSkip, timeout: 1_800_000 }, () => {
  let image: Image;
  before(async () => (image = await buildImage('runtime')));
  after(() => image.remove());

  const inImage = (path: string) => join(image.rootfs, path);

  test('takes less than 650 MB, and only what is needed to run', async (context) => {
    context.diagnostic(`${(image.bytes / 1e6).toFixed(0)} MB in all`);
    const parts = ['usr/local', 'usr/lib', 'app/node_modules', 'app/starter', 'app/dist'];
    const { stdout } = await promisify(execFile)('du', ['-sb', ...parts.map(inImage)]);
    for (const line of stdout.trim().split('\n')) {
      const [bytes, path = ''] = line.split('\t');
      context.diagnostic(
        `${(Number(bytes) / 1e6).toFixed(0)} MB ${path.slice(image.rootfs.length)}`,
      );
    }
    assert.ok(image.bytes < limitBytes, `${String(image.bytes)} bytes`);
    for (const program of ['g++', 'gcc', 'cc', 'make', 'cmake', 'python3'])
      assert.ok(!existsSync(inImage(`usr/bin/${program}`)), program);
    const files = readdirSync(inImage('app'), { recursive: true }) as string[];
    assert.deepEqual(
      files.filter((name) => name.endsWith('.ts')),
      [],
    );
    for (const name of ['typescript', 'eslint', 'tsx', 'esbuild', 'aws-cdk-lib'])
      assert.ok(!existsSync(inImage(`app/node_modules/${name}`)), name);
    assert.deepEqual(readdirSync(inImage('app/models')), []);
  });

  test('says whose it is, what it listens on and how to tell that it is well', () => {
    const { User, ExposedPorts, Healthcheck, Entrypoint } = image.config;
    assert.equal(User, '1000:1000');
    assert.deepEqual(Object.keys(ExposedPorts), ['7860/tcp']);
    assert.deepEqual(Healthcheck?.Test, ['CMD', 'node', '/app/healthcheck.mjs']);
    assert.deepEqual(Entrypoint, ['/app/entrypoint.sh']);
    const { uid, gid } = statSync(inImage('app/entrypoint.sh'));
    assert.deepEqual([uid, gid], [1000, 1000]);
  });

  test('serves as user 1000 with a read-only root, is well, and ends with 0 on SIGTERM', async () => {
    const settings = { PORT: '0', HOST: '127.0.0.1' };
    const server = runImage(image, settings);
    const [, url = ''] = await server.said(/"url":"(http:[^"]+)"/);
    await server.said(/"msg":"ready"/);
    const door = httpDoor(url);
    const search = await door(upload(cover, '?k=3'));
    assert.equal(search.status, 200);
    assert.equal(firstId(search.body.toString()), id);
    const [named] = json<{ identified: { album_id: number }[] }>(search).identified;
    assert.equal(named?.album_id, id, 'the addon and the features are in the image');
    const words = await door(get('/api/search-by-text?query=a+red+circle&k=3'));
    assert.equal(words.status, 200);
    assert.deepEqual((await door(get(`/api/image/${String(id)}`))).body, cover);
    assert.equal((await door(get('/docs/swagger-ui-bundle.js'))).status, 200);
    const page = (await door(get('/', { accept: 'text/html' }))).body.toString();
    const [, script = 'none'] = /src="\.(\/assets\/[\w-]+\.js)"/.exec(page) ?? [];
    assert.equal((await door(get(script))).status, 200, 'the page and its script');
    assert.equal(json(await door(get('/health')))['starter_set'], true);

    const port = new URL(url).port;
    const check = runImage(image, { PORT: port }, [], image.config.Healthcheck?.Test.slice(1));
    await once(check.child, 'close');
    assert.equal(check.child.exitCode, 0, check.output());
    const { stdout: status } = await promisify(execFile)('sh', [
      '-c',
      `grep -h ^Uid: /proc/$(cat /proc/${String(server.child.pid)}/task/${String(server.child.pid)}/children | tr -d ' ')/status`,
    ]);
    assert.match(status, /^Uid:\s+1000\s+1000/);
    assert.equal(await server.stop(), 0);
    const sick = runImage(image, { PORT: port }, [], image.config.Healthcheck?.Test.slice(1));
    await once(sick.child, 'close');
    assert.equal(sick.child.exitCode, 1, 'nobody listens there any more');
  });

  test('cannot write anywhere but to /tmp', async () => {
    const script =
      "const fs=require('fs');for(const p of ['/app/x','/x','/home/node/x','/tmp/x'])try{fs.writeFileSync(p,'');console.log(p,'written')}catch(e){console.log(p,e.code)}";
    const attempt = runImage(image, {}, ['-e', script], ['node']);
    await once(attempt.child, 'close');
    assert.deepEqual(attempt.output().trim().split('\n'), [
      '/app/x EROFS',
      '/x EROFS',
      '/home/node/x EROFS',
      '/tmp/x written',
    ]);
  });

  describe('as functions, under aws-lambda-ric', () => {
    let api: RuntimeApi;
    let running: ContainerProcess | undefined;
    before(async () => (api = await startRuntimeApi()));
    after(() => {
      api.stop();
    });

    /** Runs a function, hands it the events one after the other, and ends it. */
    const ask = async (
      name: string,
      events: object[],
      env: Record<string, string> = {},
      timeoutMs?: number,
    ): Promise<LambdaResult[]> => {
      running = runImage(image, { ...lambdaEnvironment(name, api), ...env }, [
        `functions/${name}.handler`,
      ]);
      const ended = once(running.child, 'close').then(() => {
        throw new Error(`the function ended: ${running?.output().slice(-2000) ?? ''}`);
      });
      ended.catch(() => undefined); // it is ended below
      const results: LambdaResult[] = [];
      for (const one of events)
        results.push(await Promise.race([api.invoke(one, timeoutMs), ended]));
      assert.equal(await running.stop(), 143, 'SIGTERM reaches the function');
      return results;
    };

    for (const [name, method, path, query] of [
      ['root', 'GET', '/', ''],
      ['health', 'GET', '/health', ''],
      ['health', 'GET', '/ready', ''],
      ['stats', 'GET', '/api/stats', ''],
      ['stats', 'GET', '/api/genres', ''],
      ['search-by-text', 'GET', '/api/search-by-text', 'query=blue+star&k=3'],
    ] as const)
      test(`${name} answers ${path}`, async () => {
        const [result] = await ask(name, [event(method, path, query)]);
        assert.equal(result?.statusCode, 200, result?.body);
        assert.equal(result.isBase64Encoded, false);
        assert.ok(JSON.parse(result.body));
      });

    test('image gives the cover, byte for byte', async () => {
      const [result] = await ask('image', [event('GET', `/api/image/${String(id)}`)]);
      assert.equal(result?.isBase64Encoded, true);
      assert.deepEqual(Buffer.from(result.body, 'base64'), cover);
    });

    test('search-by-image finds the album, cold and warm', async () => {
      const search = event('POST', '/api/search-by-image', 'k=1', cover);
      const results = await ask('search-by-image', [search, search]);
      assert.deepEqual(
        results.map(({ body }) => firstId(body)),
        [id, id],
      );
    });

    test('search-by-image reads a HEIC photo', async () => {
      const [result] = await ask('search-by-image', [
        event('POST', '/api/search-by-image', 'k=1', heicPhoto),
      ]);
      assert.equal(result?.statusCode, 200, result?.body);
    });

    test('an upload of 4.4 MB arrives intact', async () => {
      const photo = await largePhoto(cover, 4.4e6);
      assert.equal(photo.length, 4.4e6);
      const [result] = await ask('search-by-image', [
        event('POST', '/api/search-by-image', 'k=1', photo),
      ]);
      assert.equal(result?.statusCode, 200, result?.body);
      assert.equal(firstId(result.body), id);
    });

    test('uploads says that none are set up', async () => {
      const [result] = await ask('uploads', [event('POST', '/api/uploads')]);
      assert.equal(result?.statusCode, 404);
      assert.match(result.body, /uploads_disabled/);
    });

    test('an invocation whose time is up is answered 503 before it is cut off', async () => {
      const search = event('POST', '/api/search-by-image', 'k=1', cover);
      const [result] = await ask('search-by-image', [search], {}, 520);
      assert.equal(result?.statusCode, 503);
      assert.match(result.body, /out_of_time/);
    });

    test('a handler that is not named is told', async () => {
      const nameless = runImage(image, { AWS_LAMBDA_RUNTIME_API: api.host }, []);
      await once(nameless.child, 'close');
      assert.equal(nameless.child.exitCode, 1);
      assert.match(nameless.output(), /no handler is named/);
    });

    test('a photo of 9 MB comes by way of presigned S3', { skip: s3Skip }, async () => {
      const s3 = await startS3Server();
      try {
        await s3.client().send(new CreateBucketCommand({ Bucket: 'uploads' }));
        const env = { ...s3.env(), UPLOADS_URI: 's3://uploads/in' };
        const [invited] = await ask('uploads', [event('POST', '/api/uploads')], env);
        assert.equal(invited?.statusCode, 201, invited?.body);
        const ticket = JSON.parse(invited.body) as UploadTicket;
        const photo = await largePhoto(cover, 9e6);
        assert.equal(photo.length, 9e6);
        assert.equal(await sendForm(ticket, photo), 204);
        const query = `k=1&upload_id=${ticket.upload_id}`;
        const search = event('POST', '/api/search-by-image', query);
        const [found, again] = await ask('search-by-image', [search, search], env);
        assert.equal(found?.statusCode, 200, found?.body);
        assert.equal(firstId(found.body), id);
        assert.equal(again?.statusCode, 404, 'it is searched by once');
      } finally {
        s3.stop();
      }
    });
  });

  describe('with a model baked in', () => {
    /** The starter's model, as if it were CLIP on a hub. */
    const hub = createServer((request, response) => {
      const path = join(starter.clipDir, new URL(request.url ?? '', 'http://hub').pathname);
      if (existsSync(path)) response.end(readFileSync(path));
      else response.writeHead(404).end();
    });
    let url = '';
    before(async () => {
      hub.listen(0, '127.0.0.1');
      await once(hub, 'listening');
      url = `http://127.0.0.1:${String((hub.address() as AddressInfo).port)}`;
    });
    after(() => hub.close());

    test('it is there when its checksum is right; else the build says what is', async () => {
      const args = { MODEL_URL: url, MODEL_DTYPE: 'fp32' };
      const refused = await buildImage('space', args).catch((error: unknown) => error);
      assert.ok(refused instanceof Error);
      const [, sum = ''] = /--build-arg MODEL_SHA256=([0-9a-f]{64})/.exec(refused.message) ?? [];
      assert.ok(sum, refused.message);
      const wrong = await buildImage('space', { ...args, MODEL_SHA256: '0'.repeat(64) }).catch(
        (error: unknown) => error,
      );
      assert.match(String(wrong), /not the one that was meant/);
      const space = await buildImage('space', { ...args, MODEL_SHA256: sum });
      try {
        const baked = readFileSync(join(space.rootfs, 'app/models/clip/onnx/vision_model.onnx'));
        assert.deepEqual(baked, readFileSync(join(starter.clipDir, 'onnx/vision_model.onnx')));
      } finally {
        await space.remove();
      }
    });
  });
});
