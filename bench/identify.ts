// How surely the album in a photo is named, at what cost.
// usage: npx tsx bench/identify.ts PHOTOS [--distractors 1000] [--covers 500x500] [--photo 1024x1500] [--probes 8]
//          [--neighbours 10] [--candidates 100] [--points 8] [--tables 0] [--show]
// PHOTOS holds covers/, photos/ and truth.json (photo → cover). An amount is the longest edge in pixels x the features.
// --tables: so many made-up photos of one to four sleeves on a cluttered table besides. --show: every photo that was
// not answered as it should be.
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { FeatureIndex } from '../lib/identify/feature-index.ts';
import { writeFeatureFile } from '../lib/identify/feature-file.ts';
import {
  countOf,
  featuresOfCover,
  featuresOfGrey,
  featuresOfPhoto,
  fewestFeatures,
} from '../lib/identify/features.ts';
import { identify, usualSearch } from '../lib/identify/identify.ts';
import { decodeGrey } from '../lib/imaging/raster.ts';
import { Random } from '../lib/starter/random.ts';
import { coverSvg, starterAlbums } from '../lib/starter/starter-albums.ts';
import { machine, median, root } from './machine.ts';
import { makeUpCover } from './made-up-covers.ts';
import { photographTable } from './table-photo.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    distractors: { type: 'string', default: '1000' },
    covers: { type: 'string', default: '500x500' },
    photo: { type: 'string', default: '1024x1500' },
    probes: { type: 'string', default: String(usualSearch.probes) },
    neighbours: { type: 'string', default: String(usualSearch.neighbours) },
    candidates: { type: 'string', default: String(usualSearch.candidates) },
    points: { type: 'string', default: String(usualSearch.points) },
    tables: { type: 'string', default: '0' },
    show: { type: 'boolean', default: false },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new Error('usage: npx tsx bench/identify.ts PHOTOS');

const amount = (text: string) => {
  const [side = 0, features = 0] = text.split('x').map(Number);
  return { side, features };
};
const coverAmount = amount(values.covers);
const photoAmount = amount(values.photo);
const search = {
  probes: Number(values.probes),
  neighbours: Number(values.neighbours),
  candidates: Number(values.candidates),
  points: Number(values.points),
};

/** Runs it. @returns its result, and the CPU time in milliseconds that this process spent meanwhile */
async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const before = process.cpuUsage();
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  return [result, (user + system) / 1000];
}

const pictures = async (dir: string) => {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.jpg')).sort();
  return Promise.all(names.map(async (name) => ({ name, bytes: await readFile(join(dir, name)) })));
};

/** The covers of the photos, the starter set's, and made-up ones of both. */
async function catalog() {
  const shown = await pictures(join(folder ?? '', 'covers'));
  const starter = await pictures(join(root, 'models', 'starter', 'catalog', 'images'));
  const random = new Random(1);
  const sources = [...shown, ...starter.slice(0, shown.length)].map(({ bytes }) => bytes);
  const madeUp = [];
  for (let i = starter.length; i < Number(values.distractors); i += 1)
    madeUp.push({ name: `made-up ${String(i)}`, bytes: await makeUpCover(sources, random) });
  return { shown, others: [...starter, ...madeUp] };
}

interface Answer {
  photo: string;
  truth: string;
  found: { name: string; points: number; alternatives: number }[];
}

async function answersOf(path: string, names: readonly string[]) {
  const [index, openMs] = await timed(() => FeatureIndex.open(path));
  const truth = JSON.parse(await readFile(join(folder ?? '', 'truth.json'), 'utf8')) as Record<
    string,
    string
  >;
  const answers: Answer[] = [];
  const cpu = { decode: [] as number[], features: [] as number[], search: [] as number[] };
  for (const [photo, cover] of Object.entries(truth)) {
    const bytes = await readFile(join(folder ?? '', 'photos', photo));
    const [grey, decodeMs] = await timed(() => decodeGrey(bytes, { side: photoAmount.side }));
    const [features, featuresMs] = await timed(() => featuresOfGrey(grey, photoAmount.features));
    const [found, searchMs] = await timed(() => identify(index, features, [], search));
    cpu.decode.push(decodeMs);
    cpu.features.push(featuresMs);
    cpu.search.push(searchMs);
    answers.push({
      photo,
      truth: cover,
      found: found.map(({ row, points, alternatives }) => ({
        name: names[row] ?? '',
        points,
        alternatives: alternatives.length,
      })),
    });
  }
  index.close();
  return { answers, cpu, openMs };
}

/** Made-up photos of tables: how many of the sleeves are named, and what is named that is not there. */
async function tables(path: string, covers: readonly { name: string; bytes: Buffer }[]) {
  const index = await FeatureIndex.open(path);
  const random = new Random(7);
  const identifiable = covers.flatMap((cover, row) =>
    index.isIdentifiable(row) ? [{ ...cover, row }] : [],
  );
  const strangers = await Promise.all(
    starterAlbums({ seed: 5, count: 60 }).map((album) =>
      sharp(Buffer.from(coverSvg(album)))
        .jpeg()
        .toBuffer(),
    ),
  );
  let [sleeves, named, photos, wrong] = [0, 0, 0, 0];
  for (let i = 0; i < Number(values.tables); i += 1) {
    const there = random.shuffled(identifiable).slice(0, 1 + (i % 4));
    const { jpeg } = await photographTable({
      covers: there.map(({ bytes }) => bytes),
      clutter: strangers,
      random,
    });
    const found = await identify(index, await featuresOfPhoto(jpeg, photoAmount), [], search);
    const rows = new Set(there.map(({ row }) => row));
    const missing = there.filter(({ row }) => !found.some((finding) => finding.row === row));
    const unasked = found.filter(({ row }) => !rows.has(row));
    sleeves += there.length;
    named += there.length - missing.length;
    photos += 1;
    if (unasked.length > 0) wrong += 1;
    if (values.show && (missing.length > 0 || unasked.length > 0))
      console.log(
        `table ${String(i)}: not named`,
        missing.map(({ name, row }) => `${name} (${String(index.featuresAt(row))} features)`),
        'wrong',
        unasked.map(({ row, points }) => `${covers[row]?.name ?? ''} (${String(points)} points)`),
      );
  }
  index.close();
  console.log(
    `made-up tables: ${share(named, sleeves)} of ${String(sleeves)} sleeves named; something else named in ${share(wrong, photos)} of ${String(photos)} photos`,
  );
}

const share = (part: number, of: number) => `${((100 * part) / of).toFixed(1)} %`;

const { shown, others } = await catalog();
const dir = await mkdtemp(join(tmpdir(), 'identify-'));
try {
  const covers = [...shown, ...others];
  const [features, coversMs] = await timed(async () => {
    const all = [];
    for (const { bytes } of covers) all.push(await featuresOfCover(bytes, coverAmount));
    return all;
  });
  const path = join(dir, 'all.features');
  const [, writeMs] = await timed(() => writeFeatureFile(path, features));
  const withoutPath = join(dir, 'others.features');
  await writeFeatureFile(withoutPath, features.slice(shown.length));
  const names = covers.map(({ name }) => name);
  const { answers, cpu, openMs } = await answersOf(path, names);
  const without = await answersOf(withoutPath, names.slice(shown.length));

  const right = answers.filter(({ truth, found }) => found.some(({ name }) => name === truth));
  const ofPhotos = new Set(shown.map(({ name }) => name));
  const wrong = answers.filter(({ found }) => found.some(({ name }) => !ofPhotos.has(name)));
  const besides = answers.filter(({ truth, found }) =>
    found.some(({ name }) => name !== truth && ofPhotos.has(name)),
  );
  const anything = without.answers.filter(({ found }) => found.length > 0);
  const total = answers.length;
  const bytes = (await stat(path)).size / covers.length;
  const plain = features.filter((one) => countOf(one) < fewestFeatures).length;
  console.log(machine());
  console.log(
    `${String(covers.length)} covers, ${String(plain)} of them plain; ${basename(folder)}`,
  );
  console.log(
    '| covers | photo | probes | neighbours | named | wrong | true ones out | bytes a cover | cover ms | write ms | decode / features / search ms |',
  );
  console.log(
    `| ${[values.covers, values.photo, values.probes, values.neighbours, share(right.length, total), share(wrong.length, total), share(anything.length, total), bytes.toFixed(0), (coversMs / covers.length).toFixed(1), (writeMs / covers.length).toFixed(2), [cpu.decode, cpu.features, cpu.search].map((ms) => median(ms).toFixed(1)).join(' / ')].join(' | ')} |`,
  );
  console.log(
    `opened in ${openMs.toFixed(1)} ms; points of the right ones: ${[0.01, 0.02, 0.05, 0.1, 0.5].map((part) => String(right.map(({ truth, found }) => found.find(({ name }) => name === truth)?.points ?? 0).sort((a, b) => a - b)[Math.floor(part * right.length)])).join(', ')} (1, 2, 5, 10, 50 %)`,
  );
  if (Number(values.tables) > 0) await tables(path, covers);
  if (values.show)
    for (const [title, list] of [
      ['not named', answers.filter((one) => !right.includes(one))],
      ['wrong', wrong],
      ['another of the photos besides', besides],
      ['named with the true ones out', anything],
    ] as const)
      for (const { photo, truth, found } of list)
        console.log(title, photo, truth, JSON.stringify(found));
} finally {
  await rm(dir, { recursive: true });
}
