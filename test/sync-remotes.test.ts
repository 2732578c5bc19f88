import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { json } from './support/cases.ts';
import { cli } from './support/cli.ts';
import { httpDoor } from './support/doors.ts';
import { startFaultProxy, type Fault, type FaultProxy } from './support/fault-proxy.ts';
import { filesUnder } from './support/files.ts';
import { noise } from './support/pictures.ts';
import { coverFile, starter, upload } from './support/requests.ts';
import { startS3Server, s3Skip, type S3Server } from './support/s3-server.ts';
import { startServer } from './support/server.ts';
import { smallSet, type SmallCatalog } from './support/small-catalog.ts';

const indexPath = 'models/album_covers.index';

describe('pull and push', { timeout: 1_800_000 }, () => {
  let folder = '';
  let catalog: SmallCatalog;
  let set: Map<string, Buffer>;
  /** `models/` and `images/` of one test. */
  let here = '';
  let made = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sync-remotes-'));
    catalog = await smallSet(join(folder, 'set'), 40, { features: true });
    set = await filesUnder(catalog.dir);
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(() => {
    here = join(folder, `here-${String((made += 1))}`);
  });

  const env = () => ({ MODELS_DIR: join(here, 'models'), IMAGES_DIR: join(here, 'images') });
  const ofSet = () => ['--models', join(catalog.dir, 'models'), '--images', catalog.imagesDir];
  const sameAsSet = (found: Map<string, Buffer>) => {
    assert.deepEqual([...found.keys()].sort(), [...set.keys()].sort());
    for (const [path, bytes] of set) assert.ok(found.get(path)?.equals(bytes), path);
  };
  const allUnchanged = () =>
    new RegExp(`^0 files to upload, 0 to delete, ${String(set.size)} unchanged$`, 'm');
  const cover = () => `images/album_${String(catalog.ids[4])}.jpg`;

  describe('with a folder', () => {
    test('a pushed set comes back the same, and unchanged files are not pushed again', async () => {
      const remote = join(here, 'remote'); // created by the first push
      const first = await cli(['push', remote, ...ofSet()]);
      assert.equal(first.status, 0, first.errors);
      sameAsSet(await filesUnder(remote));
      const second = await cli(['push', remote, ...ofSet()]);
      assert.match(second.output, allUnchanged());

      const pulled = await cli(['pull', 'catalog', remote], env());
      assert.equal(pulled.status, 0, pulled.errors);
      await rm(remote, { recursive: true });
      sameAsSet(await filesUnder(here));
    });
  });

  test('features of a replaced set are deleted, both remotely and locally', async () => {
    const remote = join(here, 'remote');
    assert.equal((await cli(['push', remote, ...ofSet()])).status, 0);
    assert.equal((await cli(['pull', 'catalog', remote], env())).status, 0);
    const other = await smallSet(join(here, 'other'), 20);
    const images = ['--images', other.imagesDir];
    const pushed = await cli(['push', remote, '--models', join(other.dir, 'models'), ...images]);
    assert.equal(pushed.status, 0, pushed.errors);
    const left = async (place: string) => (await readdir(join(place, 'models'))).sort();
    const without = ['album_covers.index', 'manifest.json', 'valid_metadata_final.json'];
    assert.deepEqual(await left(remote), without);
    assert.equal((await cli(['pull', 'catalog', remote], env())).status, 0);
    assert.deepEqual(await left(here), without);
  });

  test('an empty set is neither pushed nor pulled over a good one', async () => {
    const models = join(here, 'models');
    await cp(catalog.dir, here, { recursive: true });
    await rm(join(models, 'manifest.json'));
    await writeFile(join(models, 'valid_metadata_final.json'), '[]');
    const place = join(here, 'place');
    await cp(catalog.dir, place, { recursive: true });
    const pushed = await cli(['push', place], env());
    assert.equal(pushed.status, 1);
    assert.match(pushed.errors, /^Error: .*valid_metadata_final\.json.*the list is empty\.$/m);
    sameAsSet(await filesUnder(place));

    const pulled = await cli([
      ...['pull', 'catalog', here, '--models', join(place, 'models')],
      ...['--images', join(place, 'images')],
    ]);
    assert.equal(pulled.status, 1);
    assert.equal(pulled.errors, `Error: In ${here}, valid_metadata_final.json is empty.\n`);
    sameAsSet(await filesUnder(place));
  });

  describe('a model with external weights', () => {
    /** An `external_data` entry of onnx.proto that names a weights file. */
    const named = (name: string) =>
      `\n\bcontext\x12\x01x\n\blocation\x12${String.fromCharCode(name.length)}${name}`;
    const weights = { vision: 'vision_model.onnx_data', text: 'weights.pb' };

    const modelDir = async () => {
      const dir = join(here, 'models', 'clip');
      await mkdir(join(dir, 'onnx'), { recursive: true });
      for (const name of ['config.json', 'preprocessor_config.json', 'tokenizer.json'])
        await cp(join(starter.clipDir, name), join(dir, name));
      for (const [tower, name] of Object.entries(weights)) {
        await writeFile(join(dir, 'onnx', `${tower}_model.onnx`), `graph${named(name)}`, 'latin1');
        await writeFile(join(dir, 'onnx', name), `weights of ${tower}`);
      }
      return dir;
    };

    test('is pulled and pushed with them, whatever their names', async () => {
      const dir = await modelDir();
      const out = join(here, 'out');
      const pull = (from: string) =>
        cli(['pull', 'model', '--from', from, '--dtype', 'fp32', '--out', out]);
      const pulled = await pull(dir);
      assert.equal(pulled.status, 0, pulled.errors);
      assert.deepEqual(await filesUnder(out), await filesUnder(dir));

      await cp(join(catalog.dir, 'models'), join(here, 'models'), { recursive: true });
      const remote = join(here, 'remote');
      const pushed = await cli([
        ...['push', remote, '--with-model', '--no-covers', '--models', join(here, 'models')],
      ]);
      assert.equal(pushed.status, 0, pushed.errors);
      assert.deepEqual(await filesUnder(join(remote, 'models', 'clip')), await filesUnder(dir));
    });

    for (const name of Object.values(weights))
      test(`is not pulled if ${name} is missing`, async () => {
        const dir = await modelDir();
        await rm(join(dir, 'onnx', name));
        const { status, errors } = await cli([
          ...['pull', 'model', '--from', dir, '--dtype', 'fp32', '--out', join(here, 'out')],
        ]);
        assert.equal(status, 1);
        assert.equal(errors.split('\n').at(-2), `Error: ${dir} does not have ${name}.`);
      });

    test('is refused if it names a file outside its folder', async () => {
      const dir = await modelDir();
      await writeFile(join(dir, 'onnx', 'text_model.onnx'), named('../../x.pb'), 'latin1');
      const { status, errors } = await cli([
        ...['pull', 'model', '--from', dir, '--dtype', 'fp32', '--out', join(here, 'out')],
      ]);
      assert.equal(status, 1);
      assert.match(errors, /names a file of weights outside of its folder: \.\.\/\.\.\/x\.pb\.$/m);
    });
  });

  describe('with S3', { skip: s3Skip }, () => {
    let s3: S3Server;
    let proxy: FaultProxy;
    let client: S3Client;
    let prefix = '';

    before(async () => {
      s3 = await startS3Server();
      proxy = await startFaultProxy(s3.host);
      client = s3.client();
      await client.send(new CreateBucketCommand({ Bucket: 'sets' }));
    });
    after(async () => {
      await proxy.stop();
      s3.stop();
    });
    beforeEach(() => {
      proxy.reset();
      prefix = `s3://sets/of/test-${String(made)}`;
    });

    const run = (...args: string[]) =>
      cli(args, { ...env(), ...s3.env(proxy.endpoint), AWS_MAX_ATTEMPTS: '5' });
    const push = (...more: string[]) => run('push', prefix, ...ofSet(), ...more);
    const pull = (...more: string[]) => run('pull', 'catalog', prefix, ...more);
    const written = () => proxy.asked.filter(({ method }) => method === 'PUT');

    test('a pushed set comes back the same, and unchanged files are not transferred again', async () => {
      const first = await push();
      assert.equal(first.status, 0, first.errors);
      assert.match(
        first.output,
        new RegExp(`^uploaded ${String(set.size)} files, deleted 0$`, 'm'),
      );
      assert.match(written().at(-1)?.path ?? '', /models\/manifest\.json/, 'the manifest is last');
      const second = await push('--prune');
      assert.match(second.output, allUnchanged());
      assert.equal(written().length, set.size);

      const pulled = await pull();
      assert.equal(pulled.status, 0, pulled.errors);
      sameAsSet(await filesUnder(here));
      proxy.asked = [];
      assert.match((await pull()).output, new RegExp(`^${String(set.size)} already present$`, 'm'));
      assert.ok(proxy.asked.length <= 2, 'a listing and a look at one object');
    });

    test('each object has its SHA-256 in its metadata, and a server serves the pushed set', async () => {
      await cp(starter.clipDir, join(here, 'models', 'clip'), {
        recursive: true,
        filter: (path) => !path.endsWith('catalog'),
      });
      for (const path of set.keys())
        if (path.startsWith('models/'))
          await cp(join(catalog.dir, path), join(here, path), { recursive: true });
      const args = ['--images', catalog.imagesDir, '--with-model'];
      const { status, errors } = await run('push', prefix, ...args);
      assert.equal(status, 0, errors);
      const key = `${prefix.slice('s3://sets/'.length)}/${indexPath}`;
      const head = await client.send(new HeadObjectCommand({ Bucket: 'sets', Key: key }));
      assert.match(head.Metadata?.['sha256'] ?? '', /^[0-9a-f]{64}$/);
      const coverKey = `${prefix.slice('s3://sets/'.length)}/${cover()}`;
      const shown = await client.send(new HeadObjectCommand({ Bucket: 'sets', Key: coverKey }));
      assert.equal(shown.ContentType, 'image/jpeg');
      assert.equal(shown.CacheControl, 'public, max-age=86400');
      const server = await startServer({
        ...s3.env(),
        ASSETS_URI: prefix,
        CACHE_DIR: join(here, 'cache'),
      });
      try {
        const id = catalog.ids[9] ?? 0;
        const found = await httpDoor(server.url)(upload(coverFile(id)));
        const { results } = json<{ results: { album_id: number }[] }>(found);
        assert.equal(results[0]?.album_id, id);
      } finally {
        await server.stop();
      }
    });

    test('--prune deletes what is missing locally, --dry-run writes nothing', async () => {
      assert.equal((await push('--dry-run')).status, 0);
      assert.equal(written().length, 0);
      assert.equal((await push()).status, 0);
      const fewer = join(here, 'images');
      await cp(catalog.imagesDir, fewer, { recursive: true });
      await rm(join(here, cover()));
      const models = ['--models', join(catalog.dir, 'models')];
      const { output } = await run('push', prefix, ...models, '--images', fewer, '--prune');
      assert.match(output, new RegExp(`^ {2}- ${cover()}$`, 'm'));
      const left = join(here, 'left');
      assert.equal((await pull('--models', left, '--images', left)).status, 0);
      assert.equal((await readdir(left)).length, set.size - 1);
    });

    test('a pull survives transfer faults, and damaged data never becomes a file', async () => {
      assert.equal((await push()).status, 0);
      for (const fault of [
        'reset',
        'slow_down',
        'truncate',
        'cut',
        'lie',
      ] as const satisfies Fault[]) {
        await rm(here, { recursive: true, force: true });
        proxy.reset();
        const hurt: string[] = []; // each path once
        proxy.plan = ({ method, path }) => {
          const wanted = method === 'GET' && /album_covers\.index|album_\d*[37]\.jpg/.test(path);
          if (!wanted || hurt.includes(path)) return undefined;
          hurt.push(path);
          return fault;
        };
        const { status, errors } = await pull();
        assert.equal(status, 0, `${fault}: ${errors}`);
        assert.ok(hurt.length > 1, fault);
        sameAsSet(await filesUnder(here));
      }
    });

    test('throttled and interrupted uploads are retried', async () => {
      // One file is uploaded in parts, each of which is retried by itself.
      const large = noise(17_000_000);
      await cp(catalog.imagesDir, join(here, 'images'), { recursive: true });
      await writeFile(join(here, cover()), large);
      const hurt: string[] = [];
      proxy.plan = ({ method, path }, nth) => {
        if (method !== 'PUT' || hurt.includes(path)) return undefined;
        const isLarge = path.includes(cover());
        if (!isLarge && nth % 5 !== 0) return undefined;
        hurt.push(path);
        return isLarge || nth % 2 === 0 ? 'reset' : 'slow_down';
      };
      const models = ['--models', join(catalog.dir, 'models')];
      const { status, errors } = await run(
        'push',
        prefix,
        ...models,
        '--images',
        join(here, 'images'),
      );
      assert.equal(status, 0, errors);
      assert.ok(hurt.length > 5 && hurt.some((path) => path.includes(cover())));
      const parts = written().flatMap(({ path }) => /[?&]partNumber=(\d)/.exec(path)?.[1] ?? []);
      assert.deepEqual(parts.sort(), ['1', '1', '2', '2', '3', '3']);
      proxy.reset();
      await rm(here, { recursive: true });
      assert.equal((await pull()).status, 0);
      const found = await filesUnder(here);
      assert.ok(found.get(cover())?.equals(large));
      for (const [path, bytes] of set)
        if (path !== cover()) assert.ok(found.get(path)?.equals(bytes), path);
    });

    test('reports denied access and missing files in one sentence', async () => {
      const nothing = await pull();
      assert.equal(nothing.status, 1);
      assert.match(nothing.errors, /^Error: s3:.* has none of the required files\.$/m);
      proxy.plan = () => 'deny';
      for (const denied of [await pull(), await push()]) {
        assert.equal(denied.status, 1);
        assert.match(
          denied.errors,
          /^Error: s3:\/\/sets.* could not be read from S3 \(.*; the role or key must be allowed to read it\)\.$/m,
        );
      }
    });

    test('uses the stored SHA-256 if ETags are not checksums, as with KMS keys', async () => {
      assert.equal((await push()).status, 0);
      proxy.plan = ({ method }) => (method === 'HEAD' ? 'kms' : undefined);
      assert.match((await push()).output, allUnchanged());
      assert.equal((await pull()).status, 0);
      assert.match((await pull()).output, new RegExp(`^${String(set.size)} already present$`, 'm'));
      sameAsSet(await filesUnder(here));
    });

    test('an object without any checksum, such as a foreign multipart upload, is fetched each time', async () => {
      assert.equal((await push()).status, 0);
      const target = { Bucket: 'sets', Key: `${prefix.slice('s3://sets/'.length)}/${indexPath}` };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
      const part = { ...target, UploadId, PartNumber: 1 };
      const { ETag } = await client.send(
        new UploadPartCommand({ ...part, Body: set.get(indexPath) ?? '' }),
      );
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      await client.send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }),
      );
      await mkdir(join(here, 'models'), { recursive: true });
      await writeFile(join(here, indexPath), Buffer.alloc(set.get(indexPath)?.length ?? 0));
      for (const present of [false, true]) {
        proxy.asked = [];
        const { status, output } = await pull();
        assert.equal(status, 0);
        assert.equal(output.includes(`\n${String(set.size - 1)} already present\n`), present);
        sameAsSet(await filesUnder(here));
      }
      assert.match((await push('--dry-run')).output, /^1 file to upload/m);
    });
  });
});
