import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { simulatePhoto, snapshot } from '../bench/simulated-photo.ts';
import { Random } from '../lib/starter/random.ts';
import { coverSvg, starterAlbums } from '../lib/starter/starter-albums.ts';
import { trainingSpecs } from '../tools/starter-model/training-covers.ts';
import { json } from './support/cases.ts';
import { httpDoor } from './support/doors.ts';
import { coverFile, get, root, starter, upload } from './support/requests.ts';
import { startServer, type ServerProcess } from './support/server.ts';

const albums = starterAlbums();

describe('the starter albums', () => {
  test('are at least 300, and the same each time', () => {
    assert.ok(albums.length >= 300);
    assert.deepEqual(starterAlbums(), albums);
  });

  test('have ids with gaps, and no artist and title twice', () => {
    const ids = albums.map(({ row }) => row.local_id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.some((id, row) => id !== row + (ids[0] ?? 0)));
    const names = albums.map(({ row }) => `${row.artist}: ${row.album_name}`);
    assert.equal(new Set(names).size, names.length);
  });

  test('show every shape in every colour equally often', () => {
    const counts = new Map<string, number>();
    for (const { tags } of albums) {
      const pair = `${tags.shapeColour} ${tags.shape}`;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    assert.equal(counts.size, 90);
    assert.deepEqual(new Set(counts.values()), new Set([6]));
  });

  test('are drawn without fonts, filters or anything from outside', () => {
    for (const album of albums)
      assert.doesNotMatch(coverSvg(album), /<text|<filter|<image|href|url\((?!#)/);
  });

  test('are not among the covers that the model was trained on', () => {
    const served = new Set(albums.map(({ spec }) => spec.seed));
    assert.ok(trainingSpecs(32_000).every(({ seed }) => !served.has(seed)));
  });
});

describe('the starter model', () => {
  test('takes at most 12 MB', async () => {
    const names = await readdir(starter.clipDir, { recursive: true });
    const stats = await Promise.all(
      names
        .filter((name) => !name.startsWith('catalog'))
        .map((name) => stat(join(starter.clipDir, name))),
    );
    const bytes = stats.reduce((sum, one) => sum + (one.isFile() ? one.size : 0), 0);
    assert.ok(bytes > 1_000_000 && bytes <= 12 * 2 ** 20, `${String(bytes)} bytes`);
  });
});

describe('a search of the starter set', () => {
  let server: ServerProcess;
  before(async () => (server = await startServer()));
  after(() => server.stop());

  const idsOf = async (request: Parameters<ReturnType<typeof httpDoor>>[0]) => {
    const response = await httpDoor(server.url)(request);
    assert.equal(response.status, 200);
    return json<{ results: { album_id: number }[] }>(response).results.map((one) => one.album_id);
  };

  // bench/starter-quality.ts does the same for every cover and for 100 texts
  test('finds the album by a simulated photograph', async (context) => {
    const some = albums.filter((_, i) => i % 9 === 0);
    let first = 0;
    for (const { row } of some) {
      const random = new Random(row.local_id);
      const photo = await simulatePhoto(coverFile(row.local_id), snapshot, random);
      if ((await idsOf(upload(photo, '?k=1')))[0] === row.local_id) first += 1;
    }
    context.diagnostic(`${String(first)} of ${String(some.length)} first`);
    assert.ok(first >= 0.95 * some.length);
  });

  test('finds what words name', async () => {
    const tags = new Map(albums.map((album) => [album.row.local_id, album.tags]));
    const red = await idsOf(get('/api/search-by-text?k=5&query=a+red+circle'));
    const circles = red.filter((id) => {
      const { shape, shapeColour } = tags.get(id) ?? {};
      return shape === 'circle' && shapeColour === 'red';
    });
    const stripes = await idsOf(get('/api/search-by-text?k=5&query=blue+stripes'));
    const striped = stripes.filter((id) => {
      const { texture, textureColour } = tags.get(id) ?? {};
      return texture === 'stripes' && textureColour === 'blue';
    });
    assert.ok(circles.length >= 4 && striped.length >= 4, `${String(circles)} ${String(striped)}`);
  });
});

describe('preparing the starter set', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'starter-'));
    for (const part of ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'onnx'])
      await cp(join(starter.clipDir, part), join(folder, part), { recursive: true });
  });
  after(() => rm(folder, { recursive: true }));

  const prepare = () =>
    spawn(process.execPath, [join(root, 'dist', 'infra', 'prepare-starter.cjs')], {
      env: { PATH: process.env['PATH'], STARTER_DIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  const sha256 = async (path: string) =>
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex');

  test('killed in the middle, it leaves no half set; run again, it makes the same one', async () => {
    const killed = prepare();
    await once(killed.stdout, 'data'); // the first line of progress
    killed.kill('SIGKILL');
    await once(killed, 'close');
    await assert.rejects(stat(join(folder, 'catalog')), { code: 'ENOENT' });

    const again = prepare();
    let said = '';
    again.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [status] = (await once(again, 'close')) as [number];
    assert.equal(status, 0);
    assert.match(said, /drawing covers: 540 of 540\n(.*\n)*.*embedding covers: 540 of 540\n/);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('catalog')),
      ['catalog'],
    );
    for (const name of ['album_covers.index', 'valid_metadata_final.json', 'images/album_1.jpg'])
      assert.equal(
        await sha256(join(folder, 'catalog', name)),
        await sha256(join(starter.clipDir, 'catalog', name)),
        name,
      );
  });
});
