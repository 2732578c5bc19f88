import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { photographTable } from '../bench/table-photo.ts';
import type { CoverFeatures } from '../lib/identify/feature-file.ts';
import { writeFeatureFile } from '../pipeline/indexing/write-features.ts';
import { FeatureIndex } from '../lib/identify/feature-index.ts';
import { countOf, featuresOfCover, featuresOfPhoto } from '../lib/identify/features.ts';
import { identify, mergeSightings, surenessOf, type Finding } from '../lib/identify/identify.ts';
import { canIdentify } from '../lib/identify/native.ts';
import { Random } from '../tools/starter-set/random.ts';
import { coverSvg, starterAlbums } from '../tools/starter-set/starter-albums.ts';

const skip = canIdentify() ? false : 'the addon is not built: there is no C++ compiler';

const plain = (colour: string, word: string): Promise<Buffer> =>
  sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640"><rect width="640" height="640" fill="${colour}"/><text x="560" y="620" font-size="20" fill="#808080">${word}</text></svg>`,
    ),
  )
    .jpeg({ quality: 85 })
    .toBuffer();

describe('identification of albums in photos', { skip }, () => {
  let dir = '';
  let path = '';
  let index: FeatureIndex;
  const covers: CoverFeatures[] = [];
  /** Drawn covers, followed by plain ones: a single colour, some with a small word. */
  const pictures = [
    ...starterAlbums({ count: 540 })
      .slice(0, 60)
      .map((album) =>
        sharp(Buffer.from(coverSvg(album)))
          .flatten()
          .jpeg({ quality: 85 })
          .toBuffer(),
      ),
    ...['#204060', '#d0c0a0', '#101010'].flatMap((colour) => [
      plain(colour, ''),
      plain(colour, 'now'),
    ]),
  ];
  const plainRows = [60, 61, 62, 63, 64, 65];
  /** Rows of covers with much detail. */
  const rich = [9, 3, 11, 15, 7];
  /** Covers that are not in the index. */
  let strangers: Buffer[] = [];

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'identify-'));
    path = join(dir, 'album_covers.features');
    for (const picture of pictures) covers.push(await featuresOfCover(await picture));
    await writeFeatureFile(path, covers);
    index = await FeatureIndex.open(path);
    strangers = await Promise.all(
      starterAlbums({ seed: 5, count: 12 }).map((album) =>
        sharp(Buffer.from(coverSvg(album)))
          .jpeg()
          .toBuffer(),
      ),
    );
  });

  after(async () => {
    index.close();
    await rm(dir, { recursive: true });
  });

  const find = async (photo: Buffer, where = index): Promise<Finding[]> =>
    identify(where, await featuresOfPhoto(photo));
  const photograph = async (rows: readonly number[], seed: number) =>
    photographTable({
      covers: await Promise.all(rows.map((row) => pictures[row] ?? assert.fail())),
      clutter: strangers,
      random: new Random(seed),
      harsh: false,
    });

  test('a rotated and tilted cover is identified, and outlined to within 2 % of the photo', async () => {
    for (const row of rich) {
      const { jpeg, outlines } = await photograph([row], row);
      const [finding, ...others] = await find(jpeg);
      assert.equal(finding?.row, row);
      assert.deepEqual(others, []);
      for (const [i, [x, y]] of finding.outline.entries()) {
        const [trueX = NaN, trueY = NaN] = outlines[0]?.[i] ?? [];
        assert.ok(
          Math.hypot(x - trueX, y - trueY) < 0.02,
          `corner ${String(i)} of row ${String(row)}`,
        );
      }
    }
  });

  test('two covers in one photo give two findings, the larger first', async () => {
    const [one = NaN, other = NaN] = rich;
    const found = await find((await photograph([one, other], 3)).jpeg);
    assert.deepEqual(new Set(found.map(({ row }) => row)), new Set([one, other]));
    const [first, second] = found.map(({ outline }) => {
      const [[ax, ay], [bx, by], [cx, cy], [dx, dy]] = outline;
      return (cx - ax) * (dy - by) - (cy - ay) * (dx - bx);
    });
    assert.ok((first ?? NaN) >= (second ?? NaN));
  });

  test('a photo without an indexed cover gives no finding', async () => {
    for (let seed = 1; seed <= 4; seed += 1)
      assert.deepEqual(await find((await photograph([], seed)).jpeg), []);
  });

  test('a cover that is too plain is neither identified nor mistaken for another', async () => {
    for (const row of plainRows) {
      assert.ok(!index.isIdentifiable(row));
      assert.ok(countOf(covers[row] ?? assert.fail()) < 40);
      assert.deepEqual(await find((await photograph([row], row)).jpeg), [], `row ${String(row)}`);
    }
  });

  test('passing candidates does not change the findings', async () => {
    const [row = NaN, ...others] = rich;
    const photo = await featuresOfPhoto((await photograph([row], 9)).jpeg);
    assert.deepEqual(await identify(index, photo, [row, ...others]), await identify(index, photo));
  });

  test('any picture is accepted, and gives at most the maximum number of features', async () => {
    const random = new Random(1);
    const pixels = Buffer.from(Array.from({ length: 900 * 700 }, () => random.integer(0, 255)));
    const noise = sharp(pixels, { raw: { width: 900, height: 700, channels: 1 } });
    const blank = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 4, background: '#0000' } });
    for (const { picture, least, most } of [
      { picture: noise, least: 3900, most: 4000 },
      { picture: blank(1, 1), least: 0, most: 0 },
      { picture: blank(4000, 1), least: 0, most: 0 },
      { picture: blank(33, 33), least: 0, most: 0 },
    ]) {
      const photo = await featuresOfPhoto(await picture.png().toBuffer());
      assert.ok(countOf(photo) >= least && countOf(photo) <= most, String(countOf(photo)));
      assert.deepEqual(await identify(index, photo), []);
    }
  });

  test('the strongest features come first, so requesting fewer gives mostly the first ones', async () => {
    const picture = await (pictures[rich[0] ?? NaN] ?? assert.fail());
    const all = await featuresOfCover(picture, { side: 500, features: 400 });
    const few = await featuresOfCover(picture, { side: 500, features: 200 });
    const keys = (features: CoverFeatures, count: number) =>
      Array.from({ length: count }, (_, i) =>
        Buffer.from(features.places.subarray(i * 6, i * 6 + 6)).toString('hex'),
      );
    const beginning = new Set(keys(all, countOf(few)));
    const shared = keys(few, countOf(few)).filter((key) => beginning.has(key));
    assert.ok(shared.length >= 0.7 * countOf(few), String(shared.length));
  });

  test('a shared repeating pattern does not identify a cover', async () => {
    const dots = (colour: string) =>
      sharp(
        Buffer.from(
          `<svg xmlns="http://www.w3.org/2000/svg" width="500" height="500"><pattern id="p" width="40" height="40" patternUnits="userSpaceOnUse"><rect width="12" height="20" x="5" y="5" fill="${colour}"/></pattern><rect width="500" height="500" fill="#fff"/><rect width="500" height="500" fill="url(#p)"/></svg>`,
        ),
      )
        .png()
        .toBuffer();
    const patterned = join(dir, 'patterned.features');
    await writeFeatureFile(patterned, [...covers, await featuresOfCover(await dots('#204060'))]);
    const other = await FeatureIndex.open(patterned);
    try {
      assert.ok(other.isIdentifiable(covers.length));
      assert.deepEqual(await find(await dots('#602020'), other), []);
    } finally {
      other.close();
    }
  });

  test('identifying a photo does not block the event loop', async () => {
    const photo = (await photograph(rich.slice(0, 4), 4)).jpeg;
    let turns = 0;
    let done = false;
    const turn = () => {
      turns += 1;
      if (!done) setImmediate(turn);
    };
    const features = await featuresOfPhoto(photo);
    setImmediate(turn);
    await identify(index, features);
    done = true;
    assert.ok(turns > 10, `${String(turns)} turns`);
  });

  test('an identification in progress completes when the index is closed', async () => {
    const other = await FeatureIndex.open(path);
    const [row = NaN] = rich;
    const photo = await featuresOfPhoto((await photograph([row], 2)).jpeg);
    const finding = identify(other, photo);
    other.close();
    assert.equal((await finding)[0]?.row, row);
    await assert.rejects(identify(other, photo), /closed/);
  });

  describe('the feature file', () => {
    /** The features of a cover as hex, sorted because the file may reorder them. */
    const featuresIn = ({ codes, places }: CoverFeatures) =>
      Array.from({ length: codes.length / 32 }, (_, i) =>
        Buffer.concat([
          codes.subarray(i * 32, i * 32 + 32),
          places.subarray(i * 6, i * 6 + 6),
        ]).toString('hex'),
      ).sort();

    test('returns what was written, in at most 24 KB per cover', async () => {
      let row = 0;
      for await (const cover of index.covers()) {
        const written = covers[row] ?? assert.fail();
        assert.deepEqual([cover.width, cover.height], [written.width, written.height]);
        assert.deepEqual(featuresIn(cover), featuresIn(written));
        row += 1;
      }
      assert.equal(row, covers.length);
      assert.ok((await readFile(path)).length / covers.length <= 24 * 1024);
    });

    test('is identical when written again', async () => {
      const again = join(dir, 'again.features');
      await writeFeatureFile(again, covers);
      assert.ok((await readFile(again)).equals(await readFile(path)));
    });

    test('can drop and gain covers while keeping the centres', async () => {
      const [gone = NaN, kept = NaN] = rich;
      const changed = join(dir, 'changed.features');
      const remaining: CoverFeatures[] = [];
      let row = 0;
      for await (const cover of index.covers()) {
        if (row !== gone) remaining.push(cover);
        row += 1;
      }
      const added = strangers[0] ?? assert.fail();
      await writeFeatureFile(changed, [...remaining, await featuresOfCover(added)], index.centres);
      const other = await FeatureIndex.open(changed);
      try {
        assert.deepEqual(await find((await photograph([gone], 6)).jpeg, other), []);
        const [finding] = await find((await photograph([kept], 6)).jpeg, other);
        assert.equal(finding?.row, kept > gone ? kept - 1 : kept);
        assert.equal(other.size, covers.length);
      } finally {
        other.close();
      }
    });

    test('without covers, or with plain ones only, finds nothing', async () => {
      const empty = join(dir, 'empty.features');
      const none = { width: 500, height: 500, codes: new Uint8Array(), places: new Uint8Array() };
      for (const few of [[], [none, none]]) {
        await writeFeatureFile(empty, few);
        const other = await FeatureIndex.open(empty);
        assert.equal(other.size, few.length);
        assert.deepEqual(await find((await photograph(rich.slice(0, 1), 1)).jpeg, other), []);
        other.close();
      }
    });

    const damages: { name: string; damage: (bytes: Buffer) => Buffer; says: RegExp }[] = [
      {
        name: 'that is cut short',
        damage: (bytes) => bytes.subarray(0, -1),
        says: /it has \d+ bytes but its header implies \d+\.$/,
      },
      {
        name: 'that is empty',
        damage: () => Buffer.alloc(0),
        says: /it does not start like one\.$/,
      },
      {
        name: 'that is another',
        damage: (bytes) => Buffer.concat([Buffer.from('IxFI'), bytes]),
        says: /it does not start like one\.$/,
      },
      {
        name: 'of a later version',
        damage: (bytes) => (bytes.writeUInt32LE(2, 8), bytes),
        says: /it is of version 2, but 1 is expected: create it again with index features\.$/,
      },
      {
        name: 'with damaged lists',
        damage: (bytes) => (bytes.writeBigUInt64LE(2n ** 40n, 64 + 8 * covers.length + 8), bytes),
        says: /its lists are damaged\.$/,
      },
      {
        name: 'with damaged numbers of features',
        damage: (bytes) => (bytes.writeUInt32LE(77_777, 64 + 4), bytes),
        says: /the numbers of its features are damaged\.$/,
      },
    ];
    for (const { name, damage, says } of damages)
      test(`${name} is refused with an error that names it`, async () => {
        const damaged = join(dir, 'damaged.features');
        await writeFile(damaged, damage(Buffer.from(await readFile(path))));
        await assert.rejects(FeatureIndex.open(damaged), (error: Error & { code?: string }) => {
          assert.equal(error.code, 'index_unreadable');
          assert.ok(error.message.startsWith(`${damaged} is not a readable feature file: `));
          assert.match(error.message, says);
          return true;
        });
      });

    test('with random codes, rows and places does not crash the process', async () => {
      const damaged = join(dir, 'noise.features');
      const bytes = Buffer.from(await readFile(path));
      const random = new Random(2);
      for (let at = bytes.length >> 1; at < bytes.length; at += 1)
        bytes[at] = random.integer(0, 255);
      await writeFile(damaged, bytes);
      const other = await FeatureIndex.open(damaged);
      await find((await photograph(rich.slice(0, 2), 1)).jpeg, other);
      await assert.rejects(async () => {
        for await (const cover of other.covers()) assert.ok(cover.width > 0);
      }, /damaged/);
      other.close();
    });
  });
});

describe('a sighting', () => {
  for (const { name, points, cells, visible, sure } of [
    { name: 'of many points all over the cover', points: 60, cells: 30, visible: 480, sure: true },
    { name: 'of many points at one spot', points: 60, cells: 7, visible: 480, sure: false },
    { name: 'of just enough points', points: 25, cells: 8, visible: 480, sure: true },
    { name: 'of a point too few', points: 24, cells: 8, visible: 480, sure: false },
    {
      name: 'of the same points on a plainer cover',
      points: 13,
      cells: 8,
      visible: 80,
      sure: true,
    },
  ])
    test(`${name} is ${sure ? '' : 'not '}sure`, () => {
      assert.equal(surenessOf({ points, cells, visible }) >= 1, sure);
    });
});

describe('sightings at one place', () => {
  const square = (left: number, top: number, edge: number) =>
    [
      [left, top],
      [left + edge, top],
      [left + edge, top + edge],
      [left, top + edge],
    ] as const;

  /** A sighting whose points lie on a circle in the photo and all over the cover. */
  const sighting = (
    row: number,
    outline: ReturnType<typeof square>,
    points: number,
    [x, y]: readonly [number, number],
  ) => ({
    ...{ row, outline, points, cells: Math.min(points, 64), visible: 0 },
    spots: Float32Array.from(
      Array.from({ length: points }, (_, i) => [x + Math.cos(i), y + Math.sin(i), i % 64]).flat(),
    ),
  });

  test('one whose points all lie in the outline of a stronger one elsewhere is dropped', () => {
    const large = sighting(1, square(0, 0, 100), 100, [50, 50]);
    const lettering = sighting(2, square(0, 80, 100), 30, [50, 90]); // all within the first outline
    const below = sighting(3, square(0, 80, 100), 30, [50, 150]);
    const rows = (...sightings: (typeof large)[]) =>
      mergeSightings(sightings).map(({ row }) => row);
    assert.deepEqual(rows(large, lettering), [1]);
    assert.deepEqual(rows(large, below), [1, 3], 'partly covered by the first');
    assert.deepEqual(rows(lettering), [2]);
  });

  test('are one finding; those with at least 80 % of its points are alternatives', () => {
    const found = mergeSightings([
      sighting(1, square(0, 0, 100), 79, [50, 50]),
      sighting(2, square(2, 2, 100), 100, [50, 50]),
      sighting(3, square(0, 0, 90), 80, [50, 50]),
      sighting(4, square(90, 90, 100), 10, [150, 150]),
    ]);
    assert.deepEqual(
      found.map(({ row, alternatives }) => [row, alternatives]),
      [
        [2, [3]],
        [4, []],
      ],
    );
  });
});
