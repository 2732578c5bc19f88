// How reliably the album in a photo is identified, and at what cost.
// usage: npx tsx bench/identify.ts PHOTOS [--distractors 1000] [--features 500] [--side 500] [--photo 1280x4000]
//          [--voters 1500] [--probes 8] [--neighbours 30] [--candidates 200] [--tables 0] [--plain 0] [--cache FOLDER]
//          [--show]
// PHOTOS holds covers/, photos/ and truth.json (photo → cover). Features: per cover; several numbers give a row each.
// Side: longest edge of a cover in pixels. Photo: longest edge and features of a photo. Tables: number of synthetic
// photos of two to four sleeves on a cluttered table, for the covers in PHOTOS and for the starter set each.
// Plain: number of plain covers added to the catalog; half as many table photos show them. Cache: folder that keeps
// synthetic covers and feature files between runs. Show: prints every photo with a missing or wrong album.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import pLimit from 'p-limit';
import sharp from 'sharp';
import { usableCores } from '../lib/concurrency/cores.ts';
import type { CoverFeatures } from '../lib/identify/feature-file.ts';
import { writeFeatureFile } from '../pipeline/indexing/write-features.ts';
import { FeatureIndex } from '../lib/identify/feature-index.ts';
import { featuresOfCover, featuresOfGrey, photoAmount } from '../lib/identify/features.ts';
import { findingsIn, surenessOf, usualSearch } from '../lib/identify/identify.ts';
import { decodeGrey } from '../lib/imaging/raster.ts';
import { Random } from '../tools/starter-set/random.ts';
import { coverSvg, starterAlbums } from '../tools/starter-set/starter-albums.ts';
import { machine, median, quantile, root } from './machine.ts';
import { madeUpCover, plainCover } from './made-up-covers.ts';
import { photographTable } from './table-photo.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    distractors: { type: 'string', default: '1000' },
    features: { type: 'string', default: '500' },
    side: { type: 'string', default: '500' },
    photo: {
      type: 'string',
      default: `${String(photoAmount.side)}x${String(photoAmount.features)}`,
    },
    voters: { type: 'string', default: String(usualSearch.voters) },
    probes: { type: 'string', default: String(usualSearch.probes) },
    neighbours: { type: 'string', default: String(usualSearch.neighbours) },
    candidates: { type: 'string', default: String(usualSearch.candidates) },
    tables: { type: 'string', default: '0' },
    plain: { type: 'string', default: '0' },
    cache: { type: 'string', default: join(tmpdir(), 'shazam-visual-made-up-covers') },
    show: { type: 'boolean', default: false },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new Error('usage: npx tsx bench/identify.ts PHOTOS');
const amounts = values.features.split(',').map(Number);
const [photoSide = NaN, photoFeatures = NaN] = values.photo.split('x').map(Number);
const search = {
  voters: Number(values.voters),
  probes: Number(values.probes),
  neighbours: Number(values.neighbours),
  candidates: Number(values.candidates),
};

/** Runs a function. @returns its result, and the CPU time of this process during the run, in milliseconds */
async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const before = process.cpuUsage();
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  return [result, (user + system) / 1000];
}

interface Cover {
  name: string;
  read: () => Promise<Buffer>;
}

const pictures = async (dir: string): Promise<Cover[]> =>
  (await readdir(dir))
    .filter((name) => name.endsWith('.jpg'))
    .sort()
    .map((name) => ({ name, read: () => readFile(join(dir, name)) }));

/** The covers of the photos, the starter set's, synthetic ones made of both, and plain ones. */
async function catalog() {
  const shown = await pictures(join(folder ?? '', 'covers'));
  const starter = await pictures(join(root, 'models', 'starter', 'catalog', 'images'));
  const sources = await Promise.all(
    [...shown, ...starter.slice(0, shown.length)].map(({ read }) => read()),
  );
  const madeUp = numbers(starter.length, Number(values.distractors)).map((number) => ({
    name: `made-up ${String(number)}`,
    read: () => madeUpCover(number, sources, values.cache),
  }));
  const plain = numbers(0, Number(values.plain)).map((number) => ({
    name: `plain ${String(number)}`,
    read: () => plainCover(new Random(number)),
  }));
  return { shown, starter, plain, covers: [...shown, ...starter, ...madeUp, ...plain] };
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** For each amount a feature file with all covers and one without the first ones; built unless cached. */
async function featureFiles(covers: readonly Cover[], first: number) {
  const source = await readFile(join(root, 'native', 'identify', 'features.h'));
  const key = createHash('sha256')
    .update(source)
    .update(JSON.stringify([values.side, covers.map(({ name }) => name)]));
  const id = key.digest('hex').slice(0, 12);
  await mkdir(values.cache, { recursive: true });
  const paths = amounts.map((amount) => ({
    amount,
    all: join(values.cache, `${id}-${String(amount)}.features`),
    without: join(values.cache, `${id}-${String(amount)}-without.features`),
  }));
  const exist = await Promise.all(paths.map(({ without }) => stat(without).catch(() => undefined)));
  const missing = paths.filter((_, i) => !exist[i]);
  if (missing.length === 0) return paths;
  const limit = pLimit(usableCores());
  const most = { side: Number(values.side), features: Math.max(...amounts) };
  const [features, ms] = await timed(() =>
    Promise.all(covers.map(({ read }) => limit(async () => featuresOfCover(await read(), most)))),
  );
  console.log(`features: ${(ms / covers.length).toFixed(1)} ms a cover, decoding included`);
  for (const { amount, all, without } of missing) {
    const fewer = features.map((one) => strongest(one, amount));
    const [, writeMs] = await timed(() => writeFeatureFile(all, fewer));
    console.log(`lists of ${String(amount)}: ${(writeMs / covers.length).toFixed(1)} ms a cover`);
    const index = await FeatureIndex.open(all);
    await writeFeatureFile(without, fewer.slice(first), index.centres);
    index.close();
  }
  return paths;
}

/** The strongest features of a cover: they are sorted by strength, so these are about what a lower limit would find. */
const strongest = (features: CoverFeatures, amount: number): CoverFeatures => ({
  ...features,
  codes: features.codes.subarray(0, 32 * amount),
  places: features.places.subarray(0, 6 * amount),
});

/** Identifies the albums in a photo. Returns their rows, the sureness of every candidate row, and the time taken. */
async function look(index: FeatureIndex, bytes: Buffer) {
  const [grey, decode] = await timed(() => decodeGrey(bytes, { side: photoSide }));
  const start = performance.now();
  const [photo, features] = await timed(() => featuresOfGrey(grey, photoFeatures));
  const [sightings, find] = await timed(() => index.sightings(photo, search));
  const wall = performance.now() - start;
  const rows = new Set(findingsIn(sightings, photo).map(({ row }) => row));
  const sureness = new Map(sightings.map((sighting) => [sighting.row, surenessOf(sighting)]));
  return { rows, sureness, ms: { decode, features, find, wall } };
}
type Look = Awaited<ReturnType<typeof look>>;

/** Counts photos, and the expected and identified sleeves in them. */
class Tally {
  there = 0;
  named = 0;
  photos = 0;
  wrongPhotos = 0;
  readonly right: number[] = [];
  readonly wrong: number[] = [];

  /** @param allowed rows that are right to name besides; `row` of those that are asked for may be below 0: in no catalog */
  count(title: string, { rows, sureness }: Look, asked: readonly number[], allowed = asked): void {
    this.photos += 1;
    this.there += asked.length;
    const missing = asked.filter((row) => !rows.has(row));
    this.named += asked.length - missing.length;
    this.right.push(...asked.map((row) => sureness.get(row) ?? 0));
    this.wrong.push(
      Math.max(0, ...[...sureness].flatMap(([row, s]) => (allowed.includes(row) ? [] : [s]))),
    );
    const wrong = [...rows].filter((row) => !allowed.includes(row));
    if (wrong.length > 0) this.wrongPhotos += 1;
    if (values.show && (missing.length > 0 || wrong.length > 0))
      console.log(title, 'not named', missing, 'wrong', wrong);
  }

  readonly #share = (part: number, of: number) => (of ? `${((100 * part) / of).toFixed(1)} %` : '');
  get namedShare(): string {
    return this.#share(this.named, this.there);
  }
  get wrongShare(): string {
    return this.#share(this.wrongPhotos, this.photos);
  }
  /** Sureness of the right rows (minimum, 1st and 5th percentile, median) and of the five surest wrong rows. */
  get margins(): string {
    const round = (value: number) => value.toFixed(2);
    const low = [0, 0.01, 0.05, 0.5].map((share) => round(quantile(this.right, share)));
    const high = [...this.wrong].sort((a, b) => b - a).slice(0, 5);
    return `right: ${this.right.length > 0 ? low.join(', ') : 'none'}; wrong: ${high.map(round).join(', ')}`;
  }
}

/** Identifies the real photos, with or without their covers in the catalog. */
async function lookAtPhotos(path: string, rowOf: ReadonlyMap<string, number>) {
  const index = await FeatureIndex.open(path);
  const truth = JSON.parse(await readFile(join(folder ?? '', 'truth.json'), 'utf8')) as Record<
    string,
    string
  >;
  const tally = new Tally();
  const ms: Look['ms'][] = [];
  for (const [photo, cover] of Object.entries(truth)) {
    const found = await look(index, await readFile(join(folder ?? '', 'photos', photo)));
    const row = rowOf.get(cover);
    // other photographed covers may be visible too
    tally.count(photo, found, row === undefined ? [] : [row], [...rowOf.values()]);
    ms.push(found.ms);
  }
  index.close();
  return { tally, ms };
}

/** Identifies synthetic photos of tables with some of the covers on them. */
async function lookAtTables(path: string, covers: readonly (Cover & { row: number })[], n: number) {
  const index = await FeatureIndex.open(path);
  const strangers = await Promise.all(
    starterAlbums({ seed: 5, count: 60 }).map((album) =>
      sharp(Buffer.from(coverSvg(album)))
        .jpeg()
        .toBuffer(),
    ),
  );
  const tally = new Tally();
  const limit = pLimit(usableCores());
  const tables = numbers(0, n).map((i) => async () => {
    const random = new Random(7000 + i);
    const there = random.shuffled(covers).slice(0, 2 + (i % 3));
    const { jpeg, edges } = await photographTable({
      covers: await Promise.all(there.map(({ read }) => read())),
      clutter: strangers,
      random,
    });
    const large = there.filter((_, sleeve) => (edges[sleeve] ?? 0) >= 1 / 4);
    tally.count(
      `table ${String(i)}`,
      await look(index, jpeg),
      large.flatMap(({ row }) => (index.isIdentifiable(row) ? [row] : [])),
      there.map(({ row }) => row),
    );
  });
  await Promise.all(tables.map((table) => limit(table)));
  index.close();
  return tally;
}

const { shown, starter, plain, covers } = await catalog();
const rowed = covers.map((cover, row) => ({ ...cover, row }));
const files = await featureFiles(covers, shown.length);
console.log(machine());
console.log(`${String(covers.length)} covers; ${basename(folder)}`);
console.log(
  '| covers | features per cover | named | wrong | true covers removed | KB per cover | all MB | decode / features / find ms | features and find, wall clock ms |',
);
for (const { amount, all, without } of files) {
  const rowOf = new Map(rowed.slice(0, shown.length).map(({ name, row }) => [name, row]));
  const { tally, ms } = await lookAtPhotos(all, rowOf);
  const out = await lookAtPhotos(without, new Map());
  const { size } = await stat(all);
  const [decode, features, find, wall] = (['decode', 'features', 'find', 'wall'] as const).map(
    (part) => median(ms.map((one) => one[part])).toFixed(0),
  );
  console.log(
    `| ${[covers.length, amount, tally.namedShare, tally.wrongShare, out.tally.wrongShare, (size / covers.length / 1024).toFixed(1), (size / 2 ** 20).toFixed(0), [decode, features, find].join(' / '), wall].join(' | ')} |`,
  );
  console.log(
    `sureness (1: is named): ${tally.margins}; true covers removed: ${out.tally.margins}`,
  );
  for (const [kind, count, of] of [
    ['covers of the photos', Number(values.tables), rowed.slice(0, shown.length)],
    [
      'starter covers',
      Number(values.tables),
      rowed.slice(shown.length, shown.length + starter.length),
    ],
    ['plain covers', Number(values.plain) / 2, rowed.slice(covers.length - plain.length)],
  ] as const) {
    if (count === 0) continue;
    const tables = await lookAtTables(all, of, count);
    console.log(
      `${String(count)} tables of ${kind}: ${tables.namedShare} of ${String(tables.there)} sleeves named, something else in ${tables.wrongShare}; sureness: ${tables.margins}`,
    );
  }
}
