import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import { retryingFetch } from '../pipeline/sync/retrying-fetch.ts';
import { cli, eventsOf, startCli } from './support/cli.ts';
import { filesUnder } from './support/files.ts';
import { hubToken, startHubServer, type HubRequest, type HubServer } from './support/hub-server.ts';
import { starter } from './support/requests.ts';
import { withSmallDisk } from './support/small-disk.ts';
import { smallSet, type SmallCatalog } from './support/small-catalog.ts';

const setFiles = ['album_covers.index', 'manifest.json', 'valid_metadata_final.json'];

describe('pull and push with the Hugging Face Hub', { timeout: 1_800_000 }, () => {
  let folder = '';
  let hub: HubServer;
  let catalog: SmallCatalog;
  /** `models/` and `images/` of a set, as the Hub has them. */
  let set: Map<string, Buffer>;
  /** A folder for one test. */
  let out = '';
  let made = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sync-hub-'));
    hub = await startHubServer();
    catalog = await smallSet(join(folder, 'set'), 60);
    set = await filesUnder(join(folder, 'set'));
    assert.equal(set.size, 63);
  });
  after(async () => {
    await hub.stop();
    await rm(folder, { recursive: true });
  });
  beforeEach(async () => {
    hub.reset();
    hub.repos.set('datasets/me/covers', new Map(set));
    out = join(folder, `out-${String((made += 1))}`);
    await mkdir(out);
    hub.taken = async (about, bytes) => {
      while ((await sizeOf(join(out, `${about}.part`))) < bytes) await sleep(5);
    };
  });

  const sizeOf = async (path: string) => (await stat(path).catch(() => null))?.size ?? 0;

  const env = (token?: string) => ({
    HF_ENDPOINT: hub.endpoint,
    MODELS_DIR: join(out, 'models'),
    IMAGES_DIR: join(out, 'images'),
    ...(token !== undefined && { HF_TOKEN: token }),
  });
  const pull = (...more: string[]) => cli(['pull', 'catalog', 'hf:me/covers', ...more], env());
  const asked = (kind: HubRequest['kind']) => hub.asked.filter((one) => one.kind === kind);
  const sameAsSet = async () => {
    const found = await filesUnder(out);
    assert.deepEqual([...found.keys()], [...set.keys()].sort());
    for (const [path, bytes] of set) assert.ok(found.get(path)?.equals(bytes), path);
  };
  const cover = () => `images/album_${String(catalog.ids[7])}.jpg`;

  test('pull catalog fetches the index, the list and the covers with limited concurrency', async () => {
    hub.repos.get('datasets/me/covers')?.set('README.md', Buffer.from('not of the set'));
    const { status, output, errors } = await pull();
    assert.equal(status, 0, errors);
    assert.match(output, /^63 files, .* in dataset me\/covers \(main\) on the Hub$/m);
    assert.match(output, /^downloaded 63 files/m);
    assert.match(errors, /downloading files: 63 of 63/);
    await sameAsSet();
    assert.ok(hub.mostOpen > 1 && hub.mostOpen <= 8, `${String(hub.mostOpen)} at a time`);
    assert.equal(asked('tree').length, 3, 'a listing of 64 files in pages of 25');
    const last = asked('resolve')
      .slice(-3)
      .map(({ about }) => about);
    assert.deepEqual(
      last.sort(),
      [...set.keys()].filter((path) => path.startsWith('models/')).sort(),
      'the set is last',
    );
    const verified = await cli(
      ['verify', join(out, 'models'), '--images', join(out, 'images')],
      env(),
    );
    assert.equal(verified.status, 0, verified.output + verified.errors);
  });

  test('skips files already present and fetches changed ones again', async () => {
    assert.equal((await pull()).status, 0);
    hub.asked = [];
    const again = await pull();
    assert.equal(again.status, 0);
    assert.match(again.output, /^63 already present$/m);
    assert.equal(asked('resolve').length, 0);

    const bytes = Buffer.from(set.get(cover()) ?? []);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(join(out, cover()), bytes); // of the same size
    assert.equal((await pull()).status, 0);
    assert.deepEqual(
      asked('resolve').map(({ about }) => about),
      [cover()],
    );
    await sameAsSet();
  });

  test('pulls a set from the root of a repository, without covers and without a manifest', async () => {
    const flat = [...set]
      .filter(([path]) => path.startsWith('models/') && !path.endsWith('manifest.json'))
      .map(([path, bytes]) => [path.slice('models/'.length), bytes] as const);
    hub.repos.set('datasets/me/flat', new Map(flat));
    const args = ['pull', 'catalog', 'hf:datasets/me/flat@main', '--no-covers', '--json'];
    const { status, output } = await cli(args, env());
    assert.equal(status, 0);
    assert.deepEqual((await readdir(join(out, 'models'))).sort(), [
      'album_covers.index',
      'valid_metadata_final.json',
    ]);
    const types = eventsOf(output).map(({ type }) => type);
    assert.equal(types[0], 'listed');
    assert.deepEqual(eventsOf(output).at(-1), {
      ...{ type: 'pulled', files: 2, bytes: flat.reduce((sum, [, { length }]) => sum + length, 0) },
    });
  });

  test('pull model fetches the requested exports from the pinned commit', async () => {
    const onnx = ['vision_model', 'text_model'].flatMap((tower) =>
      ['', '_fp16', '_quantized', '_q4'].map((suffix) => `onnx/${tower}${suffix}.onnx`),
    );
    const side = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'vocab.json'];
    const files = new Map([...onnx, ...side].map((path) => [path, Buffer.from(`this is ${path}`)]));
    hub.repos.set('models/Xenova/clip-vit-base-patch32', files);
    const { status, errors } = await cli(['pull', 'model', '--dtype', 'q8,fp16'], env());
    assert.equal(status, 0, errors);
    assert.deepEqual(
      [...(await filesUnder(join(out, 'models', 'clip'))).keys()],
      [
        'config.json',
        'onnx/text_model_fp16.onnx',
        'onnx/text_model_quantized.onnx',
        'onnx/vision_model_fp16.onnx',
        'onnx/vision_model_quantized.onnx',
        'preprocessor_config.json',
        'tokenizer.json',
      ],
    );
    assert.match(asked('commits')[0]?.about ?? '', /^[0-9a-f]{40}$/);
  });

  test('a pulled model can be searched with', async () => {
    const files = await filesUnder(starter.clipDir);
    for (const path of files.keys()) if (path.startsWith('catalog')) files.delete(path);
    hub.repos.set('models/me/small', files);
    const from = ['--from', 'hf:models/me/small', '--dtype', 'fp32'];
    assert.equal((await cli(['pull', 'model', ...from], env())).status, 0);
    assert.equal((await pull()).status, 0);
    const path = catalog.coverPath(catalog.ids[3] ?? 0);
    const { status, output, errors } = await cli(['search', 'image', path, '--json'], env());
    assert.equal(status, 0, errors);
    assert.equal(eventsOf(output)[0]?.['album_id'], catalog.ids[3]);
  });

  test('a killed pull resumes in the middle of a file', async () => {
    hub.plan = ({ kind, about }) =>
      kind === 'storage' && about.endsWith('.index') ? 'break' : undefined;
    const running = startCli(['pull', 'catalog', 'hf:me/covers'], env());
    const part = join(out, 'models', 'album_covers.index.part');
    const size = set.get('models/album_covers.index')?.length ?? 0;
    while ((await sizeOf(part)) < size / 4) await sleep(10);
    running.child.kill('SIGKILL');
    await running.ended;
    assert.ok(!existsSync(join(out, 'models', 'album_covers.index')));
    assert.ok(!existsSync(join(out, 'models', 'manifest.json')), 'it comes when all is there');
    hub.plan = () => undefined;
    hub.asked = [];
    assert.equal((await pull()).status, 0);
    await sameAsSet();
    const rest = asked('storage').find(({ about }) => about.endsWith('.index'))?.range ?? '';
    assert.ok(Number(/^bytes=(\d+)-$/.exec(rest)?.[1]) >= size / 4, rest);
  });

  test('Ctrl-C exits with 130 and leaves only whole and .part files; the next pull resumes', async () => {
    hub.plan = ({ kind, about }) =>
      kind === 'resolve' && about.endsWith('.index') ? 'throttle' : undefined;
    const running = startCli(['pull', 'catalog', 'hf:me/covers'], env());
    while (asked('resolve').length < 8) await sleep(10);
    running.child.kill('SIGINT');
    assert.equal(await running.ended, 130);
    assert.ok(!existsSync(join(out, 'models', 'manifest.json')));
    for (const [path, bytes] of await filesUnder(out))
      if (!path.endsWith('.part')) assert.ok(set.get(path)?.equals(bytes), path);
    hub.plan = () => undefined;
    assert.equal((await pull()).status, 0);
    await sameAsSet();
  });

  test('a pull survives broken transfers, resets and errors of the server', async () => {
    const faults = { break: 'storage', reset: 'resolve', fail: 'resolve' } as const;
    for (const [fault, where] of Object.entries(faults)) {
      await rm(out, { recursive: true });
      hub.asked = [];
      const begun = new Set<string>(); // the first request for each file fails
      hub.plan = ({ kind, about }) => {
        if (kind !== where || begun.has(about) || !/album_\d*[05]\.jpg|index/.test(about))
          return undefined;
        begun.add(about);
        return fault as 'break';
      };
      const { status, errors } = await pull();
      assert.equal(status, 0, errors);
      assert.ok(begun.size > 3, fault);
      await sameAsSet();
      if (fault === 'break')
        for (const about of begun)
          assert.match(asked('storage').filter((one) => one.about === about)[1]?.range ?? '', /\d/);
    }
  });

  test('all downloads wait as long as a throttling Hub says', async () => {
    let until = 0;
    let early = 0;
    hub.plan = ({ kind }) => {
      if (kind !== 'resolve') return undefined;
      if (until === 0 && asked('resolve').length === 20) {
        until = Date.now() + 1000;
        return 'throttle';
      }
      if (Date.now() < until - 50) early += 1;
      return undefined;
    };
    assert.equal((await pull('--concurrency', '4')).status, 0);
    assert.ok(until > 0);
    // Already in flight, or sent before the response was read: at most two per worker. 43 files were left.
    assert.ok(early <= 8, `${String(early)} came too early`);
    await sameAsSet();
  });

  test("the Hub's own rate limit header is understood and costs no attempt", async () => {
    hub.plan = ({ kind, about }, nth) =>
      kind === 'resolve' && about === cover() && nth < 3 ? 'limit' : undefined;
    const { status, errors } = await pull('--attempts', '1');
    assert.equal(status, 0, errors);
    await sameAsSet();
  });

  for (const [headers, most] of [
    [{ 'Retry-After': '0' }, 13],
    [{ 'Retry-After': '-1' }, 13],
    [{ ratelimit: '"api";r=0;t=0' }, 13],
    [{ 'Retry-After': '86400' }, 1],
    [{ 'Retry-After': 'tomorrow' }, 3],
    [{}, 3],
  ] as const)
    test(`sends ${String(most)} requests with three attempts if the response is always 429 with ${JSON.stringify(headers)}`, async () => {
      let requests = 0;
      const server = createServer((_, response) => {
        requests += 1;
        response.writeHead(429, headers).end();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const response = await retryingFetch(3)(`http://127.0.0.1:${String(port)}/`);
      assert.equal(response.status, 429);
      assert.equal(requests, most);
      server.closeAllConnections();
      server.close();
    });

  test('the old set stays intact until the new one is complete', async () => {
    assert.equal((await pull()).status, 0);
    const repo = hub.repos.get('datasets/me/covers');
    const others = new Map([...set].filter(([path]) => path.startsWith('models/')));
    for (const [path, bytes] of others) repo?.set(path, Buffer.concat([bytes, Buffer.from(' ')]));
    hub.plan = ({ kind, about }) =>
      kind === 'resolve' && about.endsWith('final.json') ? 'fail' : undefined;
    assert.equal((await pull('--attempts', '2')).status, 1);
    await sameAsSetBeside(['models/album_covers.index.part', 'models/manifest.json.part']);
    hub.plan = () => undefined;
    repo?.delete('models/manifest.json');
    assert.equal((await pull()).status, 0);
    const now = await filesUnder(join(out, 'models'));
    assert.ok(!now.has('manifest.json'), 'it describes what is gone');
    assert.equal(
      now.get('album_covers.index')?.length,
      (set.get('models/album_covers.index')?.length ?? 0) + 1,
    );
  });
  const sameAsSetBeside = async (parts: string[]) => {
    const found = await filesUnder(out);
    assert.deepEqual([...found.keys()].sort(), [...set.keys(), ...parts].sort());
    for (const [path, bytes] of set) assert.ok(found.get(path)?.equals(bytes), path);
  };

  test('an expired link is requested again', async () => {
    hub.plan = ({ kind, about }, nth) =>
      kind === 'resolve' && about === cover() && nth < 2 ? 'expired' : undefined;
    assert.equal((await pull()).status, 0);
    assert.equal(asked('resolve').filter(({ about }) => about === cover()).length, 3);
    await sameAsSet();
  });

  test('data that does not match its checksum never becomes a file', async () => {
    const small = 'models/manifest.json'; // has git's checksum; covers have SHA-256
    hub.plan = ({ kind, about }, nth) =>
      (about === cover() && kind === 'storage') || (about === small && kind === 'resolve')
        ? nth === 0
          ? 'lie'
          : undefined
        : undefined;
    assert.equal((await pull()).status, 0);
    await sameAsSet();

    await rm(out, { recursive: true });
    hub.plan = ({ kind, about }) => (about === cover() && kind === 'storage' ? 'lie' : undefined);
    const { status, errors } = await pull('--attempts', '3');
    assert.equal(status, 1);
    assert.match(errors, /1 of 63 files could not be fetched: run the command again to resume/);
    assert.match(errors, new RegExp(`${cover()} .*the checksum does not match`));
    assert.ok(!existsSync(join(out, cover())));
    assert.ok(!existsSync(join(out, 'models', 'manifest.json')), 'the set is not whole');
  });

  test('reports missing and private files in one sentence', async () => {
    hub.repos.set('datasets/me/secret', new Map(set));
    hub.hidden.add('datasets/me/secret');
    const half = [...set].filter(([path]) => !path.endsWith('.index'));
    hub.repos.set('datasets/me/half', new Map(half));
    const config = Buffer.from('{}');
    hub.repos.set('models/me/small', new Map([['config.json', config]]));
    for (const [args, sentence] of [
      [['catalog', 'hf:me/nothing'], /404 \(it does not exist, or requires a token with access\)/],
      [['catalog', 'hf:me/secret'], /401 \(HF_TOKEN must have permission for this\)/],
      [['model', '--from', 'hf:datasets/me/covers'], /has none of the required files/],
      [['catalog', 'hf:me'], /^Error: Expected hf:USER\/NAME or hf:spaces\/USER\/NAME/],
      [['catalog', join(folder, 'nowhere')], /has none of the required files/],
      [['catalog', 'https://huggingface.co/me/covers'], /^Error: Expected hf:USER\/NAME or/],
      [['catalog', 'hf:me/half'], /does not have album_covers\.index\.$/m],
      [['model', '--from', 'hf:models/me/small'], /does not have .*_quantized\.onnx/],
    ] as const) {
      const { status, errors } = await cli(['pull', ...args], env());
      assert.equal(status, 1, args.join(' '));
      assert.match(errors, sentence);
      assert.match(errors, /^Error: [^\n]*\n$/, 'one sentence');
    }
    const args = ['pull', 'catalog', 'hf:me/secret'];
    assert.equal((await cli(args, env(hubToken))).status, 0, 'with the token');
    await sameAsSet();
  });

  test('gives up if the Hub keeps failing or the disk is full', async (context) => {
    hub.plan = ({ kind }) => (kind === 'resolve' ? 'fail' : undefined);
    const { status, errors } = await pull('--concurrency', '30', '--attempts', '2');
    assert.equal(status, 1);
    assert.match(
      errors,
      /20 of 63 files could not be fetched, so the pull was stopped: run the command again to resume/,
    );
    assert.match(errors, /the Hub answers 500/);

    hub.plan = () => undefined;
    const disk = join(out, 'disk');
    const not = await withSmallDisk(disk, async () => {
      const full = await pull('--images', disk);
      assert.equal(full.status, 1);
      assert.match(full.errors, /^Error: The disk is full: ENOSPC.*$/m);
    });
    if (not !== undefined) context.diagnostic(not);
  });

  test('uses a proxy named in the environment', async () => {
    const seen: string[] = [];
    const proxy = createServer((incoming, outgoing) => {
      const { method, headers } = incoming;
      seen.push(headers.host ?? '');
      const onward = new URL(new URL(incoming.url ?? '', 'http://x').pathname, hub.endpoint);
      onward.search = new URL(incoming.url ?? '', 'http://x').search;
      request(onward, { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      }).end();
    });
    proxy.on('connect', (incoming, socket) => {
      seen.push(incoming.url ?? '');
      const { hostname, port } = new URL(hub.endpoint);
      const onward = connect(Number(port), hostname, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      for (const one of [onward, socket]) one.on('error', () => undefined);
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = `http://127.0.0.1:${String((proxy.address() as AddressInfo).port)}`;
    try {
      const { status, errors } = await cli(['pull', 'catalog', 'hf:me/covers', '--no-covers'], {
        ...env(),
        HF_ENDPOINT: 'http://hub.example',
        HTTP_PROXY: address,
        NO_PROXY: '127.0.0.1',
      });
      assert.equal(status, 0, errors);
      assert.ok(
        seen.length > 0 && seen.every((host) => host.startsWith('hub.example')),
        seen.join(),
      );
      assert.ok(existsSync(join(out, 'models', 'manifest.json')));
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  describe('push', () => {
    const repo = 'datasets/me/new';
    const push = (more: string[] = [], token: string | undefined = hubToken) =>
      cli(['push', 'hf:me/new', ...more], env(token));
    const remote = () => hub.repos.get(repo) ?? new Map<string, Buffer>();

    beforeEach(async () => {
      hub.repos.set(repo, new Map([['README.md', Buffer.from('mine')]]));
      for (const name of ['models', 'images'])
        await cp(join(folder, 'set', name), join(out, name), { recursive: true });
    });
    const sameAsRemote = () => {
      assert.deepEqual([...remote().keys()].sort(), ['README.md', ...set.keys()].sort());
      for (const [path, bytes] of set) assert.ok(remote().get(path)?.equals(bytes), path);
    };

    test('uploads what is missing, the manifest last, and then only what changed', async () => {
      const { status, output, errors } = await push();
      assert.equal(status, 0, errors);
      assert.match(output, /^63 files to upload, 0 to delete, 0 unchanged$/m);
      assert.match(output, /^uploaded 63 files, deleted 0$/m);
      sameAsRemote();
      assert.deepEqual(
        hub.commits.at(-1),
        ['models/album_covers.index', 'models/valid_metadata_final.json', 'models/manifest.json'],
        'the set goes in one commit',
      );

      const commits = hub.commits.length;
      assert.match((await push()).output, /^0 files to upload, 0 to delete, 63 unchanged$/m);
      assert.equal(hub.commits.length, commits, 'nothing to commit');

      await writeFile(join(out, cover()), 'another');
      assert.equal((await push()).status, 0);
      assert.deepEqual(hub.commits.slice(commits), [[cover()]]);
      assert.equal(remote().get(cover())?.toString(), 'another');
    });

    test('--dry-run only reports; --prune deletes what is missing locally', async () => {
      const told = await push(['--dry-run']);
      assert.equal(told.status, 0);
      assert.match(told.output, /^63 files to upload/m);
      assert.match(told.output, /^ {2}\+ models\/album_covers\.index$/m);
      assert.match(told.output, /^ {2}\+ … 53 more$/m);
      assert.equal(remote().size, 1);
      assert.ok(hub.asked.every(({ method }) => method === 'GET'));

      assert.equal((await push()).status, 0);
      await rm(join(out, cover()));
      assert.equal((await push()).status, 0);
      assert.ok(remote().has(cover()), 'without being told to, nothing is taken away');
      const pruned = await push(['--prune', '--json']);
      assert.equal(pruned.status, 0);
      assert.deepEqual(eventsOf(pruned.output)[0], {
        ...{ type: 'compared', changed: [], removed: [cover()], unchanged: 62 },
      });
      assert.ok(!remote().has(cover()));
      assert.ok(remote().has('README.md'), 'what is not of the set stays');
    });

    test('--prune refuses to delete anything if there are no local covers', async () => {
      assert.equal((await push()).status, 0);
      await rm(join(out, 'images'), { recursive: true });
      await mkdir(join(out, 'images'));
      const { status, errors } = await push(['--prune']);
      assert.equal(status, 1);
      assert.match(
        errors,
        /There are no local covers: --prune would delete all covers at the target/,
      );
      sameAsRemote();
    });

    test('deletes a manifest that no longer describes the set', async () => {
      assert.equal((await push()).status, 0);
      await rm(join(out, 'models', 'manifest.json'));
      await writeFile(join(out, 'models', 'valid_metadata_final.json'), '\n', { flag: 'a' });
      const { status, output } = await push();
      assert.equal(status, 0);
      assert.match(output, /^ {2}- models\/manifest\.json$/m);
      assert.ok(!remote().has('models/manifest.json'));
    });

    test('a Space gets the model too with --with-model', async () => {
      hub.repos.set('spaces/me/app', new Map([['Dockerfile', Buffer.from('FROM x')]]));
      await cp(starter.clipDir, join(out, 'models', 'clip'), {
        recursive: true,
        filter: (path) => !path.endsWith('catalog'),
      });
      const args = ['push', 'hf:spaces/me/app', '--with-model'];
      assert.equal((await cli(args, env(hubToken))).status, 0);
      const files = hub.repos.get('spaces/me/app');
      for (const path of [
        'Dockerfile',
        'models/clip/onnx/text_model.onnx',
        'models/clip/config.json',
      ])
        assert.ok(files?.has(path), path);
      assert.equal(files?.size, 1 + 63 + 5);
    });

    test('reports missing write access and writes nothing', async () => {
      const { status, errors } = await push([], 'hf_of_a_stranger');
      assert.equal(status, 1);
      assert.match(errors, /403 \(HF_TOKEN must have permission for this\)/);
      assert.ok(!errors.includes('hf_of_a_stranger'), 'the token is not told');
      assert.equal(remote().size, 1);
      const none = await cli(['push', 'hf:me/new'], env());
      assert.equal(none.status, 1);
      assert.match(none.errors, /HF_TOKEN/);
    });

    test('throttled and interrupted uploads are retried', async () => {
      hub.plan = ({ kind }, nth) =>
        kind === 'upload' && nth === 0
          ? asked('upload').length % 10 === 0
            ? 'reset'
            : undefined
          : ['commit', 'batch'].includes(kind) && nth === 0
            ? 'throttle'
            : undefined;
      const { status, errors } = await push();
      assert.equal(status, 0, errors);
      sameAsRemote();
    });

    test('a failed push changes nothing on the Hub, and the next one completes it', async () => {
      assert.equal((await push()).status, 0);
      const before = new Map(remote());
      for (const id of catalog.ids) await writeFile(catalogCover(id), `new ${String(id)}`);
      await writeFile(join(out, 'models', 'manifest.json'), '{"format":0}');
      hub.plan = ({ kind }) => (kind === 'commit' ? 'fail' : undefined);
      const { status, errors } = await push(['--attempts', '2']);
      assert.equal(status, 1);
      assert.match(errors, /Could not write to dataset me\/new .*500/);
      assert.deepEqual(remote(), before);
      hub.plan = () => undefined;
      const uploads = asked('upload').length;
      assert.equal((await push()).status, 0);
      assert.equal(asked('upload').length, uploads, 'what was uploaded is not sent again');
      assert.equal(remote().get(cover())?.toString(), `new ${String(catalog.ids[7])}`);
    });
    const catalogCover = (id: number) => join(out, 'images', `album_${String(id)}.jpg`);

    test('a folder without a set is refused', async () => {
      await rm(join(out, 'models', setFiles[0] ?? ''));
      const { status, errors } = await push();
      assert.equal(status, 1);
      assert.match(errors, /album_covers\.index is missing: there is no set to push\./);
    });
  });
});
