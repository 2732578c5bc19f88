import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { joinRows, splitRows } from '../pipeline/indexing/metadata-file.ts';
import { FeatureIndex } from '../lib/identify/feature-index.ts';
import { fewestFeatures, featuresOfCover } from '../lib/identify/features.ts';
import { canIdentify } from '../lib/identify/native.ts';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import { cli, eventsOf, startCli } from './support/cli.ts';
import { json } from './support/cases.ts';
import { httpDoor } from './support/doors.ts';
import { halve } from './support/files.ts';
import { get, coverFile, starter, upload } from './support/requests.ts';
import { startServer } from './support/server.ts';
import { withSmallDisk } from './support/small-disk.ts';
import { smallCatalog, type SmallCatalog } from './support/small-catalog.ts';

/** In the order in which they are replaced. */
const setFiles = [
  ...(canIdentify() ? ['album_covers.features'] : []),
  ...['album_covers.index', 'valid_metadata_final.json', 'manifest.json'],
];

const sha256 = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

/** The checksums of a set's files. */
const sumsOf = (dir: string) => Promise.all(setFiles.map((name) => sha256(join(dir, name))));

describe('the rows of a list as text', () => {
  test('are split and joined unchanged, including literal NaN', () => {
    const text =
      '[\n  {\n    "a": NaN,\n    "b": "x ] } , \\" \\\\",\n    "c": [1, {"d": 2.0}]\n  },\n  {\n    "a": 2012.0\n  }\n]';
    const rows = splitRows(text);
    assert.equal(rows.length, 2);
    assert.equal(joinRows(rows), text);
    assert.deepEqual(splitRows('[]'), []);
    for (const broken of ['', '{}', '[1', '["x]', 'null'])
      assert.throws(() => splitRows(broken), SyntaxError, broken);
  });
});

describe('the command index', { timeout: 1_800_000 }, () => {
  let folder = '';
  let catalog: SmallCatalog;
  /** The output folder of an uninterrupted build. */
  let whole = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'index-command-'));
    catalog = await smallCatalog(join(folder, 'catalog'), 0, 60);
    whole = join(folder, 'whole');
    const { status, errors } = await cli(buildArgs(whole));
    assert.equal(status, 0, errors);
  });
  after(() => rm(folder, { recursive: true }));

  const buildArgs = (out: string, ...more: string[]) => [
    ...['index', 'build', '--images', catalog.imagesDir, '--metadata', catalog.metadataPath],
    ...['--out', out, '--model', starter.clipDir, ...more],
  ];

  /**
   * Starts a build that blocks at a cover, whose file is replaced by a pipe without a writer.
   *
   * @param position of the cover in the list
   * @returns the build once all batches before that cover's are in the journal
   */
  const buildUpTo = async (position: number, out: string) => {
    const path = catalog.coverPath(catalog.ids[position] ?? 0);
    await rename(path, `${path}.aside`);
    execFileSync('mkfifo', [path]);
    const running = startCli(buildArgs(out, '--json'));
    const vectors = join(out, '.index-build', 'vectors.f32');
    const before = 16 * Math.floor(position / 16);
    while (((await stat(vectors).catch(() => null))?.size ?? -1) < before * 2048) await sleep(5);
    return {
      ...running,
      vectors,
      /** Supplies the cover, waits for the build to end and restores the original file. */
      release: async () => {
        await writeFile(path, await readFile(`${path}.aside`));
        await running.ended;
        await rename(`${path}.aside`, path);
      },
      kill: async () => {
        running.child.kill('SIGKILL');
        await running.ended;
        await rename(`${path}.aside`, path);
      },
    };
  };

  test('build writes the files, and the list unchanged', async () => {
    assert.deepEqual((await readdir(whole)).sort(), [...setFiles].sort());
    assert.equal(
      await readFile(join(whole, 'valid_metadata_final.json'), 'utf8'),
      await readFile(catalog.metadataPath, 'utf8'),
    );
    const manifest = JSON.parse(await readFile(join(whole, 'manifest.json'), 'utf8')) as Record<
      string,
      Record<string, unknown>
    >;
    assert.deepEqual(manifest['index'], {
      type: 'Flat',
      metric: 'inner_product',
      dimension: 512,
      vectors: 60,
    });
    assert.equal(
      (manifest['files']?.['album_covers.index'] as { sha256: string }).sha256,
      await sha256(join(whole, 'album_covers.index')),
    );
    assert.equal(manifest['model']?.['dtype'], 'fp32');
  });

  test('the index written directly to disk is identical to what FAISS itself writes', async () => {
    const index = await VectorIndex.open(join(whole, 'album_covers.index'));
    const copy = join(folder, 'copy.index');
    await index.write(copy);
    assert.equal(await sha256(copy), await sha256(join(whole, 'album_covers.index')));
  });

  test("its vectors are those of the starter's index, which was built the same way", async () => {
    const index = await VectorIndex.open(join(whole, 'album_covers.index'));
    const own = await VectorIndex.open(starter.indexPath);
    for (let row = 0; row < index.size - 8; row += 1)
      assert.deepEqual(index.vectorOf(row), own.vectorOf(row));
  });

  for (const position of [5, 20, 50, undefined])
    test(`killed ${position === undefined ? 'while it writes the set' : `at cover ${String(position)}`}, it leaves nothing half, and --resume makes the same to the last bit`, async () => {
      const out = join(folder, `killed-${String(position)}`);
      if (position !== undefined) await (await buildUpTo(position, out)).kill();
      else {
        const { child, ended } = startCli(buildArgs(out));
        const names = () => readdir(out).catch((): string[] => []);
        while (child.exitCode === null && !(await names()).some((name) => name.endsWith('.new')))
          await sleep(1);
        child.kill('SIGKILL');
        await ended;
      }
      const left = await readdir(out).catch((): string[] => []);
      if (!left.includes('manifest.json'))
        assert.deepEqual(
          left.filter((name) => setFiles.includes(name)),
          [],
        );
      const { status, errors } = await cli(buildArgs(out, '--resume'));
      assert.equal(status, 0, errors);
      assert.deepEqual(await sumsOf(out), await sumsOf(whole));
      assert.deepEqual((await readdir(out)).sort(), [...setFiles].sort());
    });

  test('a journal cut in the middle of a row can be resumed', async () => {
    const out = join(folder, 'cut');
    const { vectors, kill } = await buildUpTo(50, out);
    await kill();
    await truncate(vectors, 17 * 2048 + 1001); // in the middle of a row of the second batch
    const { status, output } = await cli(buildArgs(out, '--resume', '--json'));
    assert.equal(status, 0);
    const resumed = eventsOf(output).find((event) => event['type'] === 'resumed');
    assert.equal(resumed?.['done'], 16);
    assert.deepEqual(await sumsOf(out), await sumsOf(whole));
  });

  test('Ctrl-C stops after a batch with status 130, and --resume continues', async () => {
    const out = join(folder, 'interrupted');
    const running = await buildUpTo(20, out);
    running.child.kill('SIGINT');
    await running.release();
    assert.equal(await running.ended, 130);
    assert.equal((await stat(running.vectors)).size, 32 * 2048);
    assert.deepEqual(
      (await readdir(out)).filter((name) => setFiles.includes(name)),
      [],
    );
    assert.equal((await cli(buildArgs(out, '--resume'))).status, 0);
    assert.deepEqual(await sumsOf(out), await sumsOf(whole));
  });

  test('a build started with another list is not resumed', async () => {
    const out = join(folder, 'other-plan');
    await mkdir(join(out, '.index-build'), { recursive: true });
    await writeFile(join(out, '.index-build', 'plan.json'), '{"metadata":"other"}');
    const { status, errors } = await cli(buildArgs(out, '--resume'));
    assert.equal(status, 1);
    assert.match(
      errors,
      /was started with other settings \(another metadata.*\): start over with --restart/,
    );
  });

  test('a missing or unreadable cover is skipped and reported, and its album is left out', async () => {
    const some = await smallCatalog(join(folder, 'damaged'), 0, 20);
    const [missing, text, cut] = [some.ids[3] ?? 0, some.ids[8] ?? 0, some.ids[19] ?? 0];
    await rm(some.coverPath(missing));
    await writeFile(some.coverPath(text), 'not a picture');
    await halve(some.coverPath(cut));
    const out = join(folder, 'damaged-out');
    const { status, errors } = await cli([
      ...['index', 'build', '--images', some.imagesDir, '--metadata', some.metadataPath],
      ...['--out', out, '--model', starter.clipDir],
    ]);
    assert.equal(status, 0, errors);
    assert.match(
      errors,
      new RegExp(`skipped album_${String(missing)}\\.jpg: there is no such file`),
    );
    const report = (await readFile(join(out, 'skipped-covers.jsonl'), 'utf8')).trim().split('\n');
    assert.deepEqual(
      report.map((line) => (JSON.parse(line) as { album_id: number }).album_id),
      [missing, text, cut],
    );
    const kept = some.rows.filter((_, i) => ![3, 8, 19].includes(i));
    assert.equal(await readFile(join(out, 'valid_metadata_final.json'), 'utf8'), joinRows(kept));
    assert.equal((await VectorIndex.open(join(out, 'album_covers.index'))).size, 17);
  });

  test('a folder is locked by one process at a time, and an interrupted build is not discarded', async () => {
    const out = join(folder, 'two-at-once');
    await cp(whole, out, { recursive: true });
    const first = startCli(buildArgs(out));
    const vectors = join(out, '.index-build', 'vectors.f32');
    while ((await readFile(vectors).catch(() => Buffer.alloc(0))).length < 16 * 2048)
      await sleep(5);
    first.child.kill('SIGSTOP');
    const refusal = `Error: Another process (${String(first.child.pid)} on ${hostname()}) is working in ${out}: wait for it, or delete ${join(out, '.lock')} if it has ended.\n`;
    for (const args of [
      buildArgs(out),
      buildArgs(out, '--resume'),
      ['index', 'remove', '--index', out, '--ids', String(catalog.ids[0])],
      [
        ...['index', 'add', '--metadata', catalog.metadataPath, '--images', catalog.imagesDir],
        ...['--index', out, '--model', starter.clipDir],
      ],
    ]) {
      const { status, errors } = await cli(args);
      assert.equal(status, 1);
      assert.equal(errors, refusal);
    }
    const left = await readFile(vectors);
    first.child.kill('SIGKILL');
    await first.ended;
    const anew = await cli(buildArgs(out));
    assert.equal(anew.status, 1);
    assert.match(
      anew.errors,
      /^Error: Work was interrupted in .* after \d+ covers: continue with --resume, or start over with --restart\.\n$/,
    );
    assert.ok((await readFile(vectors)).equals(left));
    assert.deepEqual(await sumsOf(out), await sumsOf(whole));
    const both = await cli(buildArgs(out, '--resume', '--restart'));
    assert.equal(both.status, 2);
    const restarted = await cli(buildArgs(out, '--restart'));
    assert.equal(restarted.status, 0, restarted.errors);
    assert.deepEqual((await readdir(out)).sort(), [...setFiles].sort());
  });

  test('the lock of a dead process is taken over, even if its pid has been reused', async () => {
    const out = join(folder, 'locked');
    await cp(whole, out, { recursive: true });
    const remove = (id: number | undefined) =>
      cli(['index', 'remove', '--index', out, '--ids', String(id)]);
    const lock = (holder: object) => writeFile(join(out, '.lock'), JSON.stringify(holder));
    const here = { pid: process.pid, began: '1', host: hostname() };
    await lock(here);
    assert.equal((await remove(catalog.ids[0])).status, 0);
    await lock({ ...here, pid: 2 ** 22 + 1 });
    assert.equal((await remove(catalog.ids[1])).status, 0);
    await lock({ ...here, host: 'elsewhere' });
    const { status, errors } = await remove(catalog.ids[2]);
    assert.equal(status, 1);
    assert.match(errors, /on elsewhere\) is working in/);
  });

  describe('when covers are missing', () => {
    /** Runs a command that must fail and leave a good set unchanged, given an empty folder of covers. */
    const refused = async (name: string, args: (set: string, images: string) => string[]) => {
      const set = join(folder, `lost-${name}`);
      await cp(whole, set, { recursive: true });
      const images = join(folder, `no-covers-${name}`);
      await mkdir(images);
      const { status, errors } = await cli(args(set, images));
      assert.equal(status, 1, errors);
      assert.deepEqual(await sumsOf(set), await sumsOf(whole));
      assert.deepEqual((await readdir(set)).sort(), [...setFiles].sort());
      return { errors, images };
    };

    test('build refuses, names the folder and files, and keeps the old set', async () => {
      const { errors, images } = await refused('build', (set, dir) => [
        ...['index', 'build', '--images', dir, '--metadata', catalog.metadataPath],
        ...['--out', set, '--model', starter.clipDir],
      ]);
      const looked = catalog.ids.slice(0, 3).map((id) => `album_${String(id)}.jpg`);
      assert.equal(
        errors,
        `Error: ${images} has none of the 60 covers (looked for ${looked.join(', ')}, …), so nothing is written.\n`,
      );
    });

    test('build refuses if no cover can be read', async () => {
      const some = await smallCatalog(join(folder, 'all-damaged'), 0, 3);
      for (const id of some.ids) await writeFile(some.coverPath(id), 'no picture');
      const { errors } = await refused('damaged', (set) => [
        ...['index', 'build', '--images', some.imagesDir, '--metadata', some.metadataPath],
        ...['--out', set, '--model', starter.clipDir],
      ]);
      assert.match(
        errors,
        /^Error: None of the 3 covers in .* can be read \(.*nothing is written/m,
      );
    });

    test('build refuses if fewer than half are present, unless given --allow-missing', async () => {
      const some = await smallCatalog(join(folder, 'few-covers'), 0, 5);
      for (const id of some.ids.slice(2)) await rm(some.coverPath(id));
      const build = (set: string) => [
        ...['index', 'build', '--images', some.imagesDir, '--metadata', some.metadataPath],
        ...['--out', set, '--model', starter.clipDir],
      ];
      const { errors } = await refused('few', build);
      assert.match(errors, /has only 2 of the 5 covers \(not album_.*--allow-missing/);
      const out = join(folder, 'few-allowed');
      assert.equal((await cli([...build(out), '--allow-missing'])).status, 0);
      assert.equal((await VectorIndex.open(join(out, 'album_covers.index'))).size, 2);
    });

    test('add refuses, but succeeds if there is nothing new to add', async () => {
      const more = await smallCatalog(join(folder, 'add-none'), 60, 4);
      await refused('add', (set, dir) => [
        ...['index', 'add', '--metadata', more.metadataPath, '--images', dir],
        ...['--index', set, '--model', starter.clipDir],
      ]);
      const again = await cli([
        ...['index', 'add', '--metadata', catalog.metadataPath, '--images', catalog.imagesDir],
        ...['--index', whole, '--model', starter.clipDir],
      ]);
      assert.equal(again.status, 0, again.errors);
      assert.equal(again.output, 'added 0 albums; 60 already present\n');
    });

    test('remove refuses to remove every album', async () => {
      const ids = catalog.ids.join(',');
      const { errors } = await refused('remove', (set) => [
        ...['index', 'remove', '--index', set, '--ids', ids],
      ]);
      assert.match(errors, /^Error: These are all the albums in .*: a set needs at least one/);
    });

    test('merge refuses parts without albums', async () => {
      const part = join(folder, 'empty-part');
      assert.equal((await cli(buildArgs(part, '--shard', '1/1'))).status, 0);
      const path = join(part, 'manifest.json');
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace('"vectors": 60', '"vectors": 0'));
      const { errors } = await refused('merge', (set) => ['index', 'merge', part, '--out', set]);
      assert.match(errors, /^Error: The parts contain no albums, so nothing is written\.$/m);
    });
  });

  test('everything that reads covers finds them by the file names in the list', async () => {
    const some = await smallCatalog(join(folder, 'named', 'images'), 0, 6);
    const names = ['sub/one.jpg', 'two.JPG', '../three.jpg', '/etc/four.jpg', '', '.five.jpg'];
    const rows = await Promise.all(
      some.rows.map(async (row, i) => {
        const name = names[i] ?? '';
        if (i < 2) {
          await mkdir(join(some.imagesDir, 'sub'), { recursive: true });
          await rename(some.coverPath(some.ids[i] ?? 0), join(some.imagesDir, name));
        }
        return row.replace(/"filename": ?"[^"]*"/, `"filename": "${name}"`);
      }),
    );
    await writeFile(some.metadataPath, joinRows(rows));
    const models = join(folder, 'named', 'models');
    const build = await cli([
      ...['index', 'build', '--images', some.imagesDir, '--metadata', some.metadataPath],
      ...['--out', models, '--model', starter.clipDir],
    ]);
    assert.equal(build.status, 0, build.errors);
    const index = await VectorIndex.open(join(models, 'album_covers.index'));
    const own = await VectorIndex.open(join(whole, 'album_covers.index'));
    assert.equal(index.size, 6);
    for (let row = 0; row < 6; row += 1) {
      const near = await index.search(own.vectorOf(row), 1);
      assert.equal(near.rows[0], row);
    }
    const verified = await cli([
      ...['verify', models, '--images', some.imagesDir, '--model', starter.clipDir],
    ]);
    assert.match(verified.output, /6 covers, all present and readable/);

    await cp(starter.clipDir, join(models, 'clip'), {
      recursive: true,
      filter: (path) => !path.includes('catalog'),
    });
    const server = await startServer({ MODELS_DIR: models, IMAGES_DIR: some.imagesDir });
    for (const id of some.ids.slice(0, 4)) {
      const path = `/api/image/${String(id)}`;
      const whole = await httpDoor(server.url)({ method: 'GET', path });
      assert.equal(whole.status, 200);
      assert.ok(whole.body.equals(coverFile(id)));
      const small = await httpDoor(server.url)({ method: 'GET', path: `${path}?size=160` });
      assert.equal(small.status, 200);
    }
    await server.stop();

    const place = join(folder, 'named', 'place');
    const pushed = await cli(['push', place, '--models', models, '--images', some.imagesDir]);
    assert.equal(pushed.status, 0, pushed.errors);
    for (const id of some.ids)
      assert.ok(
        (await readFile(join(place, 'images', `album_${String(id)}.jpg`))).equals(coverFile(id)),
      );

    const other = `album_${String(some.ids[3])}.jpg`;
    const list = join(models, 'valid_metadata_final.json');
    await writeFile(
      list,
      (await readFile(list, 'utf8')).replace('"filename": ""', `"filename": "${other}"`),
    );
    const mixed = await cli(['push', place, '--models', models, '--images', some.imagesDir]);
    assert.equal(mixed.status, 1);
    assert.match(mixed.errors, /which is another album's name: rename it to album_/);
  });

  test('a damaged model is reported in one sentence, and the old set is kept', async () => {
    const out = join(folder, 'wrong-model');
    await cp(whole, out, { recursive: true });
    const model = join(folder, 'no-model');
    await cp(starter.clipDir, model, {
      recursive: true,
      filter: (path) => !path.includes('catalog'),
    });
    await writeFile(join(model, 'onnx', 'vision_model.onnx'), 'no graph');
    const { status, errors } = await cli([...buildArgs(out), '--model', model]);
    assert.equal(status, 1);
    assert.match(errors, /^Error: .*vision_model\.onnx is not an ONNX graph.*\n$/);
    assert.deepEqual(await sumsOf(out), await sumsOf(whole));
  });

  test('a full disk is reported in one sentence, and the old files are kept', async (context) => {
    const disk = join(folder, 'disk');
    const not = await withSmallDisk(disk, async () => {
      for (const name of setFiles) await writeFile(join(disk, name), 'old');
      const { status, errors } = await cli(buildArgs(disk));
      assert.equal(status, 1);
      assert.match(errors, /^Error: The disk is full: ENOSPC.*$/m);
      for (const name of setFiles) assert.equal(await readFile(join(disk, name), 'utf8'), 'old');
    });
    if (not !== undefined) context.skip(not);
  });

  test('every command that writes reports an unusable folder in one sentence', async (context) => {
    const csv = join(folder, 'list.csv');
    await writeFile(csv, 'artist,cover\nx,http://127.0.0.1:1/0.jpg\n');
    const part = join(folder, 'only-part');
    assert.equal((await cli(buildArgs(part, '--shard', '1/1'))).status, 0);
    const place = join(folder, 'place-of-all');
    const models = ['--models', whole];
    assert.equal((await cli(['push', place, ...models, '--no-covers'])).status, 0);
    const commands = (dir: string) => [
      buildArgs(dir),
      ['index', 'merge', part, '--out', dir],
      ['index', 'add', ...buildArgs(dir).slice(2, 6), '--index', dir, '--model', starter.clipDir],
      ['index', 'remove', '--index', dir, '--ids', String(catalog.ids[0])],
      ['import', 'csv', csv, '--out', dir, '--attempts', '1'],
      ['pull', 'model', '--from', starter.clipDir, '--dtype', 'fp32', '--out', dir],
      ['pull', 'catalog', place, '--no-covers', '--models', dir],
      ['push', dir, ...models, '--no-covers'],
    ];
    const refuses = async (dir: string, sentence: RegExp) => {
      for (const args of commands(dir)) {
        const { status, errors } = await cli(args);
        assert.equal(status, 1, args.join(' '));
        assert.match(errors, sentence, args.join(' '));
        assert.equal(errors.split('Error: ').length, 2, errors);
        assert.doesNotMatch(errors, /^ +at /m);
      }
    };
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    await refuses(
      file,
      /^Error: (A file is where a folder should be: E|.* is not a folder that can be read\.)/m,
    );
    const disk = join(folder, 'read-only');
    const not = await withSmallDisk(disk, async () => {
      execFileSync('mount', ['-o', 'remount,ro', disk]);
      await refuses(disk, /^Error: (The disk is read-only: EROFS|The folder cannot be created: )/m);
    });
    if (not !== undefined) context.skip(not);
  });

  test('parts built separately and merged are bit-identical to a single build', async () => {
    const parts = [1, 2, 3].map((number) => join(folder, `part-${String(number)}`));
    for (const [i, part] of parts.entries()) {
      const { status, errors } = await cli(buildArgs(part, '--shard', `${String(i + 1)}/3`));
      assert.equal(status, 0, errors);
    }
    const out = join(folder, 'merged');
    const [first = '', second = '', third = ''] = parts;
    assert.equal((await cli(['index', 'merge', third, first, second, '--out', out])).status, 0);
    assert.deepEqual(await sumsOf(out), await sumsOf(whole));
    const lacking = await cli(['index', 'merge', first, third, '--out', join(folder, 'lacking')]);
    assert.equal(lacking.status, 1);
    assert.match(lacking.errors, /Part 2 of 3 is missing/);
    const twice = await cli(['index', 'merge', first, first, '--out', join(folder, 'twice')]);
    assert.match(twice.errors, /Part 1 of 3 is given twice/);
    const none = await cli(['index', 'merge', whole, '--out', join(folder, 'none')]);
    assert.match(none.errors, /is not a part written by index build --shard/);
  });

  for (const [type, least] of [
    ['SQ8', 0.95],
    ['HNSW32', 0.95],
    ['IVF4,Flat', 0.2],
  ] as const)
    test(`the type ${type} reports its size and recall, and can be searched`, async () => {
      const out = join(folder, `type-${type.replace(',', '-')}`);
      const { status, output, errors } = await cli(buildArgs(out, '--type', type, '--json'));
      assert.equal(status, 0, errors);
      const measured = eventsOf(output).find((event) => event['type'] === 'measured');
      assert.ok((measured?.['recallAt10'] as number) >= least, JSON.stringify(measured));
      assert.equal(measured?.['bytes'], (await readFile(join(out, 'album_covers.index'))).length);
      const index = await VectorIndex.open(join(out, 'album_covers.index'));
      assert.equal((await index.search(index.vectorOf(7), 1)).rows[0], 7);
    });

  test('a type that FAISS does not know is reported', async () => {
    const { status, errors } = await cli(buildArgs(join(folder, 'odd-type'), '--type', 'Round'));
    assert.equal(status, 1);
    assert.equal(errors, 'Error: FAISS knows no index of type Round.\n');
  });

  test('a type that needs more albums than there are is reported', async () => {
    const { status, errors } = await cli(buildArgs(join(folder, 'few'), '--type', 'IVF1024,Flat'));
    assert.equal(status, 1);
    assert.match(errors, /^Error: 60 vectors are too few for an index of type IVF1024,Flat.*\.$/m);
  });

  const skip = canIdentify() ? false : 'the addon is not built: there is no C++ compiler';
  describe('features of the covers', { skip }, () => {
    const featuresIn = (dir: string) => join(dir, 'album_covers.features');
    const namedIn = async (dir: string) =>
      (
        JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8')) as {
          files: Record<string, { sha256: string; bytes: number }>;
        }
      ).files['album_covers.features'];

    /** Codes as hex, sorted. */
    const sorted = (codes: Uint8Array): string[] =>
      Array.from({ length: codes.length / 32 }, (_, i) =>
        Buffer.from(codes.subarray(32 * i, 32 * i + 32)).toString('hex'),
      ).sort();
    /** The codes of every cover, by row. */
    const codesIn = async (dir: string): Promise<string[][]> => {
      const index = await FeatureIndex.open(featuresIn(dir));
      const all: string[][] = [];
      for await (const { codes } of index.covers()) all.push(sorted(codes));
      index.close();
      return all;
    };
    /** The codes of these covers, computed afresh and independent of any feature file. */
    const codesOf = (ids: readonly number[]) =>
      Promise.all(ids.map(async (id) => sorted((await featuresOfCover(coverFile(id))).codes)));

    test('build computes them for each row, and the manifest has their checksum', async () => {
      assert.deepEqual(await codesIn(whole), await codesOf(catalog.ids));
      const { size } = await stat(featuresIn(whole));
      assert.deepEqual(await namedIn(whole), {
        bytes: size,
        sha256: await sha256(featuresIn(whole)),
      });
      assert.ok(size <= 24 * 1024 * 60, `${String(size / 60)} bytes a cover`);
    });

    test('adding and removing albums adds and removes their features', async () => {
      const dir = join(folder, 'features-change');
      await cp(whole, dir, { recursive: true });
      const more = await smallCatalog(join(folder, 'features-more'), 50, 25); // 10 are already present
      const add = ['--metadata', more.metadataPath, '--images', more.imagesDir];
      const model = ['--model', starter.clipDir];
      assert.equal((await cli(['index', 'add', ...add, '--index', dir, ...model])).status, 0);
      const gone = [catalog.ids[0] ?? 0, catalog.ids[33] ?? 0, more.ids[20] ?? 0];
      const remove = ['index', 'remove', '--index', dir, '--ids', gone.join(',')];
      assert.equal((await cli(remove)).status, 0);
      const expected = [...catalog.ids, ...more.ids.slice(10)].filter((id) => !gone.includes(id));
      assert.deepEqual(await codesIn(dir), await codesOf(expected));
      assert.equal((await namedIn(dir))?.sha256, await sha256(featuresIn(dir)));
    });

    test('--no-features removes existing features, and the set stays without', async () => {
      const dir = join(folder, 'without-features');
      await cp(whole, dir, { recursive: true });
      assert.equal((await cli(buildArgs(dir, '--no-features'))).status, 0);
      assert.deepEqual((await readdir(dir)).sort(), setFiles.slice(1).sort());
      assert.equal(await namedIn(dir), undefined);
      const ids = String(catalog.ids[0]);
      assert.equal((await cli(['index', 'remove', '--index', dir, '--ids', ids])).status, 0);
      assert.deepEqual((await readdir(dir)).sort(), setFiles.slice(1).sort());
    });

    test('index features creates the same file for a set without one, with or without a manifest', async () => {
      for (const manifest of [true, false]) {
        const dir = join(folder, `later-${String(manifest)}`);
        assert.equal((await cli(buildArgs(dir, '--no-features'))).status, 0);
        if (!manifest) await rm(join(dir, 'manifest.json'));
        await writeFile(`${featuresIn(dir)}.new`, 'what a run that was killed has left');
        const { status, output, errors } = await cli([
          ...['index', 'features', '--index', dir, '--images', catalog.imagesDir],
        ]);
        assert.equal(status, 0, errors);
        assert.match(output, /^features of 60 covers in .*album_covers\.features: 1\.\d+ MB$/m);
        assert.equal(await sha256(featuresIn(dir)), await sha256(featuresIn(whole)));
        if (manifest) assert.deepEqual(await namedIn(dir), await namedIn(whole));
        assert.deepEqual(
          (await readdir(dir)).sort(),
          setFiles.filter((name) => manifest || name !== 'manifest.json').sort(),
        );
      }
    });

    test('missing and damaged covers have none, and verify reports them', async () => {
      const dir = join(folder, 'missing-features');
      await cp(whole, dir, { recursive: true });
      const images = join(folder, 'missing-images');
      await cp(catalog.imagesDir, images, { recursive: true });
      const [first = 0, second = 0] = catalog.ids;
      await rm(join(images, `album_${String(first)}.jpg`));
      await writeFile(join(images, `album_${String(second)}.jpg`), 'no picture');
      assert.equal(
        (await cli(['index', 'features', '--index', dir, '--images', images])).status,
        0,
      );
      const codes = await codesIn(dir);
      assert.deepEqual([codes[0]?.length, codes[1]?.length], [0, 0]);
      assert.ok((codes[2]?.length ?? 0) >= fewestFeatures);
      const { status, output } = await cli(['verify', dir, '--no-covers']);
      assert.equal(status, 0);
      assert.match(output, /2 covers can't be recognised in a photo/);
    });

    test('a server ignores features that the manifest does not list', async () => {
      const dir = join(folder, 'foreign-features');
      assert.equal((await cli(buildArgs(dir, '--no-features'))).status, 0);
      await cp(featuresIn(whole), featuresIn(dir)); // possibly of another set
      await cp(starter.clipDir, join(dir, 'clip'), { recursive: true });
      const server = await startServer({ MODELS_DIR: dir, IMAGES_DIR: catalog.imagesDir });
      const door = httpDoor(server.url);
      const cover = coverFile(catalog.ids[3] ?? 0);
      assert.equal(json(await door(upload(cover, '?k=1')))['identified'], null);
      assert.equal(json(await door(get('/health')))['identification'], false);
      await server.stop();
    });
  });

  for (const type of ['Flat', 'SQ8', 'HNSW16'])
    test(`albums can be added to and removed from an index of type ${type}`, async () => {
      const dir = join(folder, `change-${type}`);
      assert.equal((await cli(buildArgs(dir, '--type', type))).status, 0);
      const more = await smallCatalog(join(folder, `more-${type}`), 50, 25); // 10 are already present
      const add = ['--metadata', more.metadataPath, '--images', more.imagesDir];
      const added = await cli(['index', 'add', ...add, '--index', dir, '--model', starter.clipDir]);
      assert.equal(added.status, 0, added.errors);
      assert.match(added.output, /added 15 albums; 10 already present/);
      const gone = [catalog.ids[0] ?? 0, catalog.ids[33] ?? 0, more.ids[20] ?? 0];
      const removed = await cli(['index', 'remove', '--index', dir, '--ids', gone.join(',')]);
      assert.equal(removed.status, 0, removed.errors);
      const rows = JSON.parse(await readFile(join(dir, 'valid_metadata_final.json'), 'utf8')) as {
        local_id: number;
      }[];
      const expected = [...catalog.ids, ...more.ids.slice(10)].filter((id) => !gone.includes(id));
      assert.deepEqual(
        rows.map((row) => row.local_id),
        expected,
      );
      const index = await VectorIndex.open(join(dir, 'album_covers.index'));
      assert.equal(index.size, expected.length);
      const own = await VectorIndex.open(starter.indexPath);
      const starterRows = JSON.parse(await readFile(starter.metadataPath, 'utf8')) as typeof rows;
      for (const [row, id] of expected.entries()) {
        const vector = own.vectorOf(starterRows.findIndex((one) => one.local_id === id));
        assert.equal((await index.search(vector, 1)).rows[0], row, `album ${String(id)}`);
      }
      const unknown = await cli(['index', 'remove', '--index', dir, '--ids', String(gone[0])]);
      assert.equal(unknown.status, 1);
      assert.match(unknown.errors, new RegExp(`No album in .* has the id ${String(gone[0])}`));
    });

  test('a change killed between two files is completed by the next one', async () => {
    for (const replaced of setFiles.keys()) {
      const dir = join(folder, `killed-${String(replaced)}`);
      await cp(whole, dir, { recursive: true });
      const changed = join(folder, `changed-${String(replaced)}`);
      await cp(whole, changed, { recursive: true });
      const [first = 0, second = 0] = catalog.ids;
      assert.equal(
        (await cli(['index', 'remove', '--index', changed, '--ids', String(first)])).status,
        0,
      );
      // The state after the process was killed with this many files replaced.
      for (const [i, name] of setFiles.entries())
        await cp(join(changed, name), join(dir, i < replaced ? name : `${name}.new`));
      const { status, errors } = await cli([
        'index',
        'remove',
        '--index',
        dir,
        '--ids',
        String(second),
      ]);
      assert.equal(status, 0, errors);
      assert.equal((await VectorIndex.open(join(dir, 'album_covers.index'))).size, 58);
      assert.equal((await cli(['verify', dir, '--no-covers'])).status, 0);
    }
  });

  test('albums cannot be added with another model', async () => {
    const model = join(folder, 'other-model');
    await cp(starter.clipDir, model, {
      recursive: true,
      filter: (path) => !path.includes('catalog'),
    });
    const config = join(model, 'preprocessor_config.json');
    await writeFile(config, (await readFile(config, 'utf8')).replace('0.25', '0.26'));
    const { status, errors } = await cli([
      ...['index', 'add', '--metadata', catalog.metadataPath, '--images', catalog.imagesDir],
      ...['--index', whole, '--model', model],
    ]);
    assert.equal(status, 1);
    assert.match(errors, /made with another model/);
  });

  describe('with a running server', () => {
    /** The user's files: a small catalog, with the starter's model. */
    const userFiles = async (name: string) => {
      const dir = join(folder, name);
      await cp(whole, dir, { recursive: true });
      await cp(starter.clipDir, join(dir, 'clip'), {
        recursive: true,
        filter: (path) => !path.includes('catalog'),
      });
      return dir;
    };

    test('new files are served automatically, and no request fails or sees a mix of old and new', async () => {
      const dir = await userFiles('served');
      const server = await startServer({
        ...{ MODELS_DIR: dir, IMAGES_DIR: catalog.imagesDir, RELOAD_SECONDS: '1' },
      });
      const door = httpDoor(server.url);
      const more = await smallCatalog(join(folder, 'served-more'), 60, 20);
      const firstOf = async (id: number) => {
        const response = await door(upload(coverFile(id), '?k=1'));
        assert.equal(response.status, 200, response.body.toString());
        const [first] = json<{ results: { album_id: number; similarity_score: number }[] }>(
          response,
        ).results;
        return first;
      };
      let stop = false;
      let asked = 0;
      const client = async () => {
        for (let i = 0; !stop; i += 1) {
          const id = catalog.ids[10 + (i % 40)] ?? 0;
          assert.equal((await firstOf(id))?.album_id, id);
          asked += 1;
        }
      };
      const clients = [client(), client(), client()];
      const newId = more.ids[5] ?? 0;
      assert.notEqual((await firstOf(newId))?.album_id, newId);
      const { artist, album_name } = JSON.parse(more.rows[5] ?? '') as Record<string, string>;
      const query = new URLSearchParams({ query: `${artist ?? ''} ${album_name ?? ''}` });
      const named = async () => {
        const response = await door(get(`/api/albums?${query.toString()}`));
        return json<{ results: { album_id: number }[] }>(response).results[0]?.album_id;
      };
      assert.notEqual(await named(), newId);
      const add = ['--metadata', more.metadataPath, '--images', more.imagesDir];
      assert.equal(
        (await cli(['index', 'add', ...add, '--index', dir, '--model', starter.clipDir])).status,
        0,
      );
      await server.logged((line) => line.msg === 'serving the new files');
      assert.equal((await firstOf(newId))?.album_id, newId);
      assert.equal(await named(), newId);
      // rows move up: a mix of old and new files would return a neighbouring album
      const gone = catalog.ids.slice(0, 5).join(',');
      assert.equal((await cli(['index', 'remove', '--index', dir, '--ids', gone])).status, 0);
      await server.logged((line) => line.msg === 'serving the new files' && line['albums'] === 75);
      const enough = Math.max(50, asked + 10);
      while (asked < enough) await sleep(20);
      stop = true;
      await Promise.all(clients);
      assert.equal(await server.stop(), 0);
    });

    test('SIGHUP reloads the files at once; unusable ones are reported, and the old ones stay in use', async () => {
      const dir = await userFiles('signalled');
      const server = await startServer({ MODELS_DIR: dir, RELOAD_SECONDS: '0' });
      const door = httpDoor(server.url);
      await truncate(join(dir, 'album_covers.index'), 5000);
      server.child.kill('SIGHUP');
      const line = await server.logged((one) => one['code'] === 'index_unreadable');
      assert.match(line.msg, /The old files are still being served/);
      const id = catalog.ids[3] ?? 0;
      assert.equal((await door(upload(coverFile(id), '?k=1'))).status, 200);
      await cp(whole, dir, { recursive: true });
      server.child.kill('SIGHUP');
      await server.logged((one) => one.msg === 'serving the new files');
      assert.equal(await server.stop(), 0);
    });

    test('files that are incomplete at first are served once they are complete', async () => {
      const dir = await userFiles('late');
      const server = await startServer({ MODELS_DIR: dir, RELOAD_SECONDS: '1' });
      const next = join(folder, 'late-next');
      await cp(whole, next, { recursive: true });
      const gone = catalog.ids.slice(0, 5).join(',');
      assert.equal((await cli(['index', 'remove', '--index', next, '--ids', gone])).status, 0);
      // the manifest arrives before the list that it describes
      for (const name of setFiles.filter((one) => one !== 'valid_metadata_final.json'))
        await cp(join(next, name), join(dir, name));
      const line = await server.logged((one) => one['code'] === 'assets_inconsistent');
      assert.match(line.msg, /The old files are still being served/);
      await cp(join(next, 'valid_metadata_final.json'), join(dir, 'valid_metadata_final.json'));
      await server.logged((one) => one.msg === 'serving the new files');
      assert.equal(await server.stop(), 0);
    });

    test('a list that does not match the manifest keeps the server from becoming ready, with the reason', async () => {
      const dir = await userFiles('mixed');
      const path = join(dir, 'valid_metadata_final.json');
      const rows = splitRows(await readFile(path, 'utf8'));
      await writeFile(path, joinRows([...rows.slice(1), ...rows.slice(0, 1)]));
      const server = await startServer({ MODELS_DIR: dir }, 'listening');
      await server.logged((one) => one['code'] === 'assets_inconsistent');
      const { httpDoor: door } = await import('./support/doors.ts');
      const ready = await door(server.url)({ method: 'GET', path: '/ready' });
      assert.equal(ready.status, 503);
      const reason = /is not the file that .*manifest\.json describes/;
      assert.match(String(json(ready)['detail']), reason);
      for (const request of [
        upload(coverFile(catalog.ids[3] ?? 0)),
        get('/api/search-by-text?query=red'),
        get(`/api/albums/${String(catalog.ids[3])}/similar`),
        get('/api/stats'),
      ]) {
        const answer = await door(server.url)(request);
        assert.equal(answer.status, 503, request.path);
        assert.match(String(json(answer)['detail']), reason);
      }
      await server.stop();
    });
  });
});
