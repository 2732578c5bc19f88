import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { simulatePhoto, snapshot } from '../bench/simulated-photo.ts';
import { Random } from '../tools/starter-set/random.ts';
import { starterAlbums, type StarterAlbum } from '../tools/starter-set/starter-albums.ts';
import { json } from './support/cases.ts';
import { httpDoor } from './support/doors.ts';
import { coverFile, get, root, starter, upload } from './support/requests.ts';
import { startServer, type ServerProcess } from './support/server.ts';

const albums = starterAlbums();

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
    const some = albums.filter((_, i) => i % 4 === 0);
    let first = 0;
    for (const { row } of some) {
      const random = new Random(row.local_id);
      const photo = await simulatePhoto(coverFile(row.local_id), snapshot, random);
      if ((await idsOf(upload(photo, '?k=1')))[0] === row.local_id) first += 1;
    }
    context.diagnostic(`${String(first)} of ${String(some.length)} first`);
    assert.ok(first >= 0.95 * some.length);
  });

  test('finds the covers that words describe', async () => {
    /** The ids of the covers that show it, and the ids of as many top results. */
    const ask = async (query: string, shows: (album: StarterAlbum) => boolean) => {
      const wanted = albums.filter(shows).map(({ row }) => row.local_id);
      const path = `/api/search-by-text?k=${String(wanted.length)}&query=${query}`;
      return { wanted: new Set(wanted), found: new Set(await idsOf(get(path))) };
    };
    const circles = await ask(
      'a+red+circle',
      ({ tags }) => tags.shape === 'circle' && tags.shapeColour === 'red',
    );
    assert.deepEqual(circles.found, circles.wanted);
    const striped = await ask(
      'blue+stripes',
      ({ tags }) => tags.texture === 'stripes' && tags.textureColour === 'blue',
    );
    assert.deepEqual(striped.found, striped.wanted);
  });
});

describe('preparing the starter set', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'starter-'));
    await cp(starter.clipDir, folder, {
      recursive: true,
      filter: (path) => !path.startsWith(dirname(starter.indexPath)),
    });
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

  test('leaves no partial set when killed, and creates the same set when run again', async () => {
    const killed = prepare();
    await once(killed.stdout, 'data'); // the first line of progress
    killed.kill('SIGKILL');
    await once(killed, 'close');
    await assert.rejects(stat(join(folder, 'catalog', 'index')), { code: 'ENOENT' });

    const again = prepare();
    let said = '';
    again.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [status] = (await once(again, 'close')) as [number];
    assert.equal(status, 0);
    assert.match(said, /embedding covers: 240 of 240\n/);
    assert.deepEqual(
      (await readdir(join(folder, 'catalog'))).filter((name) => name.startsWith('index')),
      ['index'],
    );
    for (const name of ['album_covers.index', 'album_covers.features', 'valid_metadata_final.json'])
      assert.equal(
        await sha256(join(folder, 'catalog', 'index', name)),
        await sha256(join(dirname(starter.indexPath), name)),
        name,
      );
    assert.equal(
      await sha256(join(folder, 'catalog', 'index', 'valid_metadata_final.json')),
      await sha256(starter.metadataPath),
    );
  });
});
