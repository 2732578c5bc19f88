import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { trainingSpecs } from '../tools/starter-model/training-covers.ts';
import { drawCatalog } from '../tools/starter-set/draw-catalog.ts';
import { coverSvg, starterAlbums, type StarterAlbum } from '../tools/starter-set/starter-albums.ts';
import { starter } from './support/requests.ts';

const albums = starterAlbums();

/** The number of distinct pairs, and how often they occur. */
function timesOf(of: readonly StarterAlbum[], pair: (album: StarterAlbum) => string) {
  const counts = new Map<string, number>();
  for (const album of of) counts.set(pair(album), (counts.get(pair(album)) ?? 0) + 1);
  return { pairs: counts.size, times: [...new Set(counts.values())].sort((a, b) => a - b) };
}

const shapeOf = ({ tags }: StarterAlbum) => `${tags.shapeColour} ${tags.shape}`;
const textureOf = ({ tags }: StarterAlbum) => `${tags.textureColour} ${tags.texture}`;

describe('the starter albums', () => {
  test('are 240, and the same each time', () => {
    assert.equal(albums.length, 240);
    assert.deepEqual(starterAlbums(), albums);
  });

  test('depend on the seed and the count', () => {
    const rows = (options: { seed?: number; count?: number }) =>
      starterAlbums(options).map(({ row }) => row);
    assert.notDeepEqual(rows({ seed: 1 }), rows({}));
    assert.equal(rows({ seed: 1, count: 1000 }).length, 1000);
  });

  test('have ids with gaps and unique pairs of artist and title', () => {
    const ids = albums.map(({ row }) => row.local_id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.some((id, row) => id !== row + (ids[0] ?? 0)));
    const names = albums.map(({ row }) => `${row.artist}: ${row.album_name}`);
    assert.equal(new Set(names).size, names.length);
  });

  test('show every shape and every texture in every colour equally often, up to rounding', () => {
    assert.deepEqual(timesOf(albums, shapeOf), { pairs: 90, times: [2, 3] });
    assert.deepEqual(timesOf(albums, textureOf), { pairs: 60, times: [4] });
    const many = starterAlbums({ count: 540 });
    assert.deepEqual(timesOf(many, shapeOf), { pairs: 90, times: [6] });
    assert.deepEqual(timesOf(many, textureOf), { pairs: 60, times: [9] });
  });

  test('span every genre and every decade since the sixties', () => {
    const genres = new Set(albums.map(({ row }) => row.genre));
    const decades = new Set(albums.map(({ row }) => Math.floor(row.release_year / 10)));
    assert.deepEqual([genres.size, decades.size], [12, 7]);
  });

  test('are drawn without fonts, filters or external resources', () => {
    for (const album of starterAlbums({ count: 540 }))
      assert.doesNotMatch(coverSvg(album), /<text|<filter|<image|href|url\((?!#)/);
  });

  test('are not among the covers that the model was trained on', () => {
    const served = new Set(albums.map(({ spec }) => spec.seed));
    assert.ok(trainingSpecs(32_000).every(({ seed }) => !served.has(seed)));
  });
});

describe('the starter set in the repository', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'starter-set-'));
    await drawCatalog(folder, albums);
  });
  after(() => rm(folder, { recursive: true }));

  test('has the list that the tool writes', async () => {
    const drawn = await readFile(join(folder, 'valid_metadata_final.json'), 'utf8');
    assert.equal(await readFile(starter.metadataPath, 'utf8'), drawn);
  });

  test('has the covers that the tool draws, JPEGs of 480 x 480', async (context) => {
    const names = (await readdir(join(folder, 'images'))).sort();
    assert.deepEqual((await readdir(starter.imagesDir)).sort(), names);
    let same = 0;
    for (const name of names) {
      const drawn = await readFile(join(folder, 'images', name));
      const carried = await readFile(join(starter.imagesDir, name));
      if (carried.equals(drawn)) same += 1;
      else assert.ok((await difference(carried, drawn)) < 1, name);
    }
    context.diagnostic(`${String(same)} of ${String(names.length)} byte for byte`);
    const { format, width, height } = await sharp(
      join(starter.imagesDir, names[0] ?? ''),
    ).metadata();
    assert.deepEqual([format, width, height], ['jpeg', 480, 480]);
  });

  test('takes at most 8 MB, including the model', async (context) => {
    const names = await readdir(starter.clipDir, { recursive: true, withFileTypes: true });
    const carried = names
      .filter((entry) => entry.isFile() && !/catalog[/\\]index/.test(entry.parentPath))
      .map(async (entry) => (await readFile(join(entry.parentPath, entry.name))).length);
    const bytes = (await Promise.all(carried)).reduce((sum, one) => sum + one, 0);
    context.diagnostic(`${String(bytes)} bytes`);
    assert.ok(bytes > 1_000_000 && bytes <= 8_000_000, `${String(bytes)} bytes`);
  });
});

/** Mean difference of two pictures' pixels, 0 to 255: other versions of sharp may round differently. */
async function difference(one: Buffer, other: Buffer): Promise<number> {
  const [a, b] = await Promise.all([one, other].map((jpeg) => sharp(jpeg).raw().toBuffer()));
  if (!a || a.length !== b?.length) return Infinity;
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length;
}
