// Bytes, memory, speed, recall and build time of index types, as the table of docs/index-types.md.
// usage: npx tsx bench/index-types.ts [--sizes 25000,100000,1000000] [--types 'auto Flat SQ8'] [--folder DIR]
// The vectors are made up (made-up-vectors.ts); recall is measured with 200 others of the same kind, not with those that
// the build chooses the effort by. Each index is opened in a process of its own, whose memory grows by the index.
// Folder: keeps vectors and indexes between runs (a million take 2 GB and more).
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import { recallOf } from '../lib/vectors/sample-queries.ts';
import { assembleIndex } from '../pipeline/indexing/assemble.ts';
import { ExactNearest } from '../pipeline/indexing/exact-nearest.ts';
import { readFlatIndex, writeFlatIndex } from '../pipeline/indexing/flat-file.ts';
import { machine, median, root } from './machine.ts';
import { dimension, madeUpVectors } from './made-up-vectors.ts';

const depth = 10;
const asked = 200;

interface Figures {
  load: number;
  memory: number;
  all: number;
  filtered: number[];
  recall: number;
}

interface Truth {
  queries: number[][];
  rows: number[][];
}

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '25000,100000,1000000' },
    types: { type: 'string', default: 'auto Flat SQ8' },
    folder: { type: 'string' },
    search: { type: 'string' },
    truth: { type: 'string' },
  },
});

/** Resident memory in bytes: of this process alone, and of files that it has mapped. */
async function resident(): Promise<{ own: number; mapped: number }> {
  const status = await readFile('/proc/self/status', 'utf8');
  const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
  return { own: 1024 * kilobytes('RssAnon'), mapped: 1024 * kilobytes('RssFile') };
}

/** Median duration in milliseconds, one search at a time. */
async function time(search: (i: number) => Promise<unknown>, times: number): Promise<number> {
  const taken: number[] = [];
  for (let i = 0; i < times; i += 1) {
    const start = performance.now();
    await search(i);
    if (i >= times / 10) taken.push(performance.now() - start);
  }
  return median(taken);
}

/** The figures of one index, in this process. */
async function searchIndex(path: string, truthPath: string): Promise<Figures> {
  const truth = JSON.parse(await readFile(truthPath, 'utf8')) as Truth;
  const queries = truth.queries.map((query) => Float32Array.from(query));
  const queryAt = (i: number) => queries[i % queries.length] ?? new Float32Array(dimension);
  const before = await resident();
  const start = performance.now();
  const index = await VectorIndex.open(path);
  const load = performance.now() - start;
  const found: Int32Array[] = [];
  const all = await time(
    async (i) => found.push((await index.search(queryAt(i), depth)).rows),
    asked,
  );
  const after = await resident();
  const filtered: number[] = [];
  for (const every of [100, 10, 2]) {
    const rows = Uint32Array.from({ length: Math.floor(index.size / every) }, (_, i) => i * every);
    filtered.push(await time((i) => index.search(queryAt(i), depth, rows), 40));
  }
  const memory = after.own - before.own + (after.mapped - before.mapped);
  const recall = recallOf(
    found,
    truth.rows.map((rows) => new Set(rows)),
  );
  return { ...{ load, memory, all, filtered, recall } };
}

/** Writes vectors, and the true nearest of other ones, unless they are there. */
async function prepare(folder: string, size: number): Promise<{ flat: string; truth: string }> {
  const [flat, truth] = [
    join(folder, `${String(size)}.flat`),
    join(folder, `${String(size)}.truth`),
  ];
  if (!existsSync(flat)) {
    await writeFlatIndex(`${flat}.new`, { dimension, size }, madeUpVectors(size));
    await rename(`${flat}.new`, flat);
  }
  if (existsSync(truth)) return { flat, truth };
  const queries: Float32Array[] = [];
  for await (const block of madeUpVectors(asked, 1))
    for (let at = 0; at < block.length; at += dimension)
      queries.push(block.subarray(at, at + dimension));
  const nearest = new ExactNearest(queries, depth);
  for await (const block of readFlatIndex(flat)) await nearest.add(block, dimension);
  const rows = nearest.rows.map((found) => [...found]);
  await writeFile(truth, JSON.stringify({ queries: queries.map((query) => [...query]), rows }));
  return { flat, truth };
}

/** Builds an index unless it is there. @returns its type and the time taken in seconds */
async function build(path: string, flat: string, type: string, size: number) {
  const about = `${path}.json`;
  if (existsSync(about))
    return JSON.parse(await readFile(about, 'utf8')) as { type: string; seconds: number };
  const start = performance.now();
  const building = assembleIndex(path, {
    ...{ vectors: () => readFlatIndex(flat), dimension, size, type },
  });
  let step = await building.next();
  for (; step.done !== true; step = await building.next())
    if (step.value.type !== 'indexed') console.error(JSON.stringify(step.value));
  const built = { ...step.value, seconds: (performance.now() - start) / 1000 };
  await writeFile(about, JSON.stringify(built));
  return built;
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6).toLocaleString('en')} MB`;
const milliseconds = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

/** One row of the table; `times` scales the figures that grow with the size. */
function row(size: number, type: string, bytes: number, seconds: number, it: Figures): string {
  return `| ${[
    ...[size.toLocaleString('en'), `\`${type}\``, megabytes(bytes), megabytes(it.memory)],
    ...[milliseconds(it.load), milliseconds(it.all), it.filtered.map(milliseconds).join(' / ')],
    ...[
      it.recall.toFixed(3),
      seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`,
    ],
  ].join(' | ')} |`;
}

async function table(folder: string): Promise<string> {
  const lines = [
    '| vectors | type | file | memory | load, ms | search, ms | of 1 % / 10 % / 50 %, ms | recall@10 | build |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (const size of values.sizes.split(',').map(Number)) {
    const { flat, truth } = await prepare(folder, size);
    const built = new Set<string>();
    for (const asked of values.types.split(' ')) {
      const path = join(folder, `${String(size)}-${asked}.index`);
      const { type, seconds } = await build(path, flat, asked, size);
      if (built.has(type)) continue;
      built.add(type);
      const said = execFileSync(
        process.execPath,
        [
          ...['--import', 'tsx', fileURLToPath(import.meta.url), '--search', path],
          ...['--truth', truth],
        ],
        { encoding: 'utf8', cwd: root },
      );
      const figures = JSON.parse(said) as Figures;
      lines.push(row(size, type, (await stat(path)).size, seconds, figures));
      console.error(lines.at(-1));
    }
  }
  return lines.join('\n');
}

async function main(): Promise<void> {
  if (values.search !== undefined && values.truth !== undefined) {
    console.log(JSON.stringify(await searchIndex(values.search, values.truth)));
    return;
  }
  const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'index-types-')));
  await mkdir(folder, { recursive: true });
  try {
    console.log(`${machine()}.\n\n${await table(folder)}`);
  } finally {
    if (values.folder === undefined) await rm(folder, { recursive: true });
  }
}

await main();
