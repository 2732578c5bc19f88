// A LanceDB table of many made-up albums: recall, milliseconds and memory, unfiltered and filtered, and readers during a
// change.
// usage: npx tsx bench/lance.ts [--albums 1000000] [--dir DIR] [--uri lance+s3://bucket/prefix]
//        --dir keeps the set and the local table between runs. For --uri, set AWS_ENDPOINT_URL_S3 and the keys of a server.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { AlbumFilter } from '../lib/catalog/filter.ts';
import { loadConfig } from '../lib/config/config.ts';
import { LanceCorpus } from '../lib/lance/lance-corpus.ts';
import { lanceLocation, type LanceLocation } from '../lib/lance/lance-location.ts';
import { LanceSource } from '../lib/lance/lance-source.ts';
import { createLogger } from '../lib/log.ts';
import { addSet } from '../pipeline/lance/change-table.ts';
import { importSet } from '../pipeline/lance/import-set.ts';
import { readFlatIndex, writeFlatIndex } from '../pipeline/indexing/flat-file.ts';
import { dimension, madeUpVectors } from './made-up-vectors.ts';
import { machine, median, quantile, root } from './machine.ts';

const { values: flags } = parseArgs({
  options: {
    albums: { type: 'string', default: '1000000' },
    dir: { type: 'string', default: join(tmpdir(), 'lance-bench') },
    uri: { type: 'string' },
    /** Internal: measure, or read until told to stop, in a process of its own. */
    child: { type: 'string' },
  },
});
const count = Number(flags.albums);
const uri = flags.uri ?? `lance://${join(flags.dir, 'table')}`;
const location: LanceLocation = lanceLocation(uri, loadConfig().s3);
const queries = 50;
const k = 10;

const genres = ['Rock', 'Electronic', 'Rap', 'Pop/R&B', 'Experimental', 'Jazz', 'Metal', 'Global'];
/** Unequal shares: a half, a quarter and so on. */
const genreOf = (row: number) =>
  genres[Math.min(genres.length - 1, Math.clz32(Math.imul(row + 1, 0x9e3779b1) >>> 0))] ?? 'Rock';
const syllables = ['ba', 'ko', 'li', 'mu', 'ne', 'ra', 'so', 'ti', 'va', 'zu', 'fe', 'gi', 'do'];
const word = (seed: number): string => {
  let [text, rest] = ['', Math.imul(seed + 1, 0x85ebca6b) >>> 0];
  for (let i = 0; i < 2 + (seed % 3); i += 1) {
    text += syllables[rest % syllables.length] ?? '';
    rest = Math.floor(rest / syllables.length);
  }
  return text;
};
const record = (row: number) => ({
  local_id: 2 * row,
  filename: `album_${String(2 * row)}.jpg`,
  artist: `${word(row >> 2)} ${word((row >> 2) + 7)}`,
  album_name: `${word(row)} ${word(row + 31)}`,
  genre: genreOf(row),
  release_year: 1960 + ((Math.imul(row, 40_503) >>> 4) % 60),
  score: (row % 101) / 10,
  best_new_music: row % 20 === 0 ? 1 : 0,
  label: `Label ${String(row % 5000)}`,
  reviewer_name: `Reviewer ${String(row % 300)}`,
  cover_url: `https://covers.example/${String(row)}/front.jpg`,
});

/** Filters, each with about the share of the albums that pass. */
const filters: [name: string, filter: AlbumFilter][] = [
  ['none', {}],
  ['genre, 50 %', { genres: ['Rock'] }],
  ['five years, 8 %', { yearMin: 1990, yearMax: 1994 }],
  ['Best New Music, 5 %', { bestNewMusic: true }],
  ['score, 1 %', { scoreMin: 10 }],
];

async function makeSet(dir: string, from: number, end: number, draw: number): Promise<void> {
  await mkdir(dir, { recursive: true });
  const index = join(dir, 'album_covers.index');
  if (existsSync(index)) return;
  const file = await open(join(dir, 'valid_metadata_final.json'), 'w');
  for (let row = from; row < end; row += 1000) {
    const rows = Array.from({ length: Math.min(1000, end - row) }, (_, i) => record(row + i));
    const text = rows.map((one) => JSON.stringify(one)).join(',\n');
    await file.write(`${row === from ? '[' : ','}${text}`);
  }
  await file.write(']');
  await file.close();
  await writeFlatIndex(index, { dimension, size: end - from }, madeUpVectors(end - from, draw));
}

type MadeUp = ReturnType<typeof record>;

const passes = (album: MadeUp, { genres: wanted, yearMin, yearMax, ...filter }: AlbumFilter) =>
  (wanted?.includes(album.genre) ?? true) &&
  album.release_year >= (yearMin ?? 0) &&
  album.release_year <= (yearMax ?? Infinity) &&
  album.score >= (filter.scoreMin ?? 0) &&
  (filter.bestNewMusic !== true || album.best_new_music === 1);

/** The k nearest albums of each query under each filter, by comparing all: ids. */
async function truth(set: string, asked: readonly Float32Array[]): Promise<number[][][]> {
  const path = join(flags.dir, 'truth.json');
  if (existsSync(path)) return JSON.parse(await readFile(path, 'utf8')) as number[][][];
  const best = filters.map(() => asked.map(() => [] as { id: number; similarity: number }[]));
  let row = 0;
  for await (const block of readFlatIndex(join(set, 'album_covers.index')))
    for (let at = 0; at < block.length; at += dimension, row += 1) {
      const album = record(row);
      const id = album.local_id;
      const passed = filters.map(([, filter]) => passes(album, filter));
      for (const [q, query] of asked.entries()) {
        const similarity = innerProduct(query, block, at);
        for (const [f, isIn] of passed.entries()) {
          const list = isIn ? best[f]?.[q] : undefined;
          if (!list || (list.length === k && similarity <= (list[k - 1]?.similarity ?? 0)))
            continue;
          list.push({ id, similarity });
          list.sort((a, b) => b.similarity - a.similarity).splice(k);
        }
      }
    }
  const ids = best.map((lists) => lists.map((list) => list.map(({ id }) => id)));
  await writeFile(path, JSON.stringify(ids));
  return ids;
}

/** Of a query and the vector that begins at a position. Unrolled: most of the time goes here. */
function innerProduct(query: Float32Array, block: Float32Array, at: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < dimension; i += 4) {
    a += (query[i] ?? 0) * (block[at + i] ?? 0);
    b += (query[i + 1] ?? 0) * (block[at + i + 1] ?? 0);
    c += (query[i + 2] ?? 0) * (block[at + i + 2] ?? 0);
    d += (query[i + 3] ?? 0) * (block[at + i + 3] ?? 0);
  }
  return a + b + c + d;
}

async function someQueries(): Promise<Float32Array[]> {
  const asked: Float32Array[] = [];
  for await (const block of madeUpVectors(queries, 1))
    for (let at = 0; at < block.length; at += dimension)
      asked.push(block.slice(at, at + dimension));
  return asked;
}

interface Measured {
  what: string;
  recall: number | null;
  ms: number[];
}

/** What a fresh process measures: every query of a kind once for the caches, then once more. */
async function measure(): Promise<{ first: number; rows: Measured[]; mb: number }> {
  const asked = await someQueries();
  const exact = JSON.parse(await readFile(join(flags.dir, 'truth.json'), 'utf8')) as number[][][];
  const corpus = new LanceCorpus(location);
  const began = performance.now();
  await corpus.nearest(asked[0] ?? new Float32Array(dimension), { k, filter: {} });
  const first = performance.now() - began;
  const rows: Measured[] = [];
  for (const [f, [name, filter]] of filters.entries()) {
    let found = 0;
    const ms: number[] = [];
    for (const warm of [false, true])
      for (const [q, query] of asked.entries()) {
        const start = performance.now();
        const nearest = await corpus.nearest(query, { k, filter });
        if (!warm) continue;
        ms.push(performance.now() - start);
        const ids = new Set(exact[f]?.[q]);
        found += nearest.filter(({ album }) => ids.has(album.id)).length;
      }
    rows.push({ what: `nearest 10, filter: ${name}`, recall: found / (queries * k), ms });
  }
  const timed = async (what: string, work: (i: number) => Promise<unknown>) => {
    const ms: number[] = [];
    for (let i = 0; i < 2 * queries; i += 1) {
      const start = performance.now();
      await work(i % queries);
      if (i >= queries) ms.push(performance.now() - start);
    }
    rows.push({ what, recall: null, ms });
  };
  const at = (i: number) => (i * 7919) % count;
  await timed('nearest 200', (i) =>
    corpus.nearest(asked[i] ?? new Float32Array(dimension), { k: 200, filter: {} }),
  );
  await timed('by name: artist', (i) => corpus.byName(record(at(i)).artist, { k, filter: {} }));
  await timed('by name: beginning of a title', (i) =>
    corpus.byName(record(at(i)).album_name.slice(0, -2), { k, filter: {} }),
  );
  await timed('album by id', (i) => corpus.album(2 * at(i)));
  await timed('embedding by id', (i) => corpus.embeddingOf(2 * at(i)));
  await timed('statistics', () => corpus.statistics());
  return { first, rows, mb: process.memoryUsage.rss() / 2 ** 20 };
}

/** Searches until standard input ends. Every answer must be of one version. */
async function readOn(): Promise<{ searches: number; versions: number; mixed: number }> {
  const asked = await someQueries();
  const source = new LanceSource(location, createLogger('silent'), { reloadSeconds: 1 });
  const stop = new AbortController();
  process.stdin
    .on('end', () => {
      stop.abort();
    })
    .resume();
  const sizes = new Map<unknown, number>();
  let [searches, mixed] = [0, 0];
  while (!stop.signal.aborted) {
    const { corpus } = source;
    const [size, nearest] = await Promise.all([
      corpus.size(),
      corpus.nearest(asked[searches % queries] ?? new Float32Array(dimension), { k, filter: {} }),
    ]);
    searches += 1;
    // The added albums have the ids from 2 × count on: the old version must not show one of them.
    const isOld = size === count;
    const added = nearest.filter(({ album }) => album.id >= 2 * count).length;
    if (
      (isOld && added > 0) ||
      nearest.length !== k ||
      (sizes.get(corpus.version) ?? size) !== size
    )
      mixed += 1;
    sizes.set(corpus.version, size);
  }
  return { searches, versions: sizes.size, mixed };
}

const runChild = (mode: string) => {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(import.meta.url), '--child', mode, ...process.argv.slice(2)],
    { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const done = new Promise<unknown>((resolve, reject) => {
    child.once('exit', (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`${mode} ended with ${String(code)}`));
    });
  });
  return { child, done };
};

async function main(): Promise<void> {
  const lines = [
    `${machine()}; ${count.toLocaleString('en')} albums in ${flags.uri === undefined ? 'a local table' : 'a table in S3'}`,
  ];
  const set = join(flags.dir, 'set');
  await makeSet(set, 0, count, 0);
  await truth(set, await someQueries());
  try {
    await new LanceCorpus(location).load();
  } catch {
    const start = performance.now();
    for await (const event of importSet({ dir: set, location, restart: true }))
      if (event.type !== 'wrote_albums' || event.done % 100_000 === 0)
        console.error(((performance.now() - start) / 1000).toFixed(0), 's', JSON.stringify(event));
    lines.push(
      `imported in ${((performance.now() - start) / 1000).toFixed(0)} s, ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB at most`,
    );
  }
  const { first, rows, mb } = (await runChild('measure').done) as Awaited<
    ReturnType<typeof measure>
  >;
  lines.push(
    `first search ${first.toFixed(0)} ms; memory of the reading process ${mb.toFixed(0)} MiB`,
  );
  lines.push('', '| search | recall@10 | median ms | p95 ms |', '| --- | --- | --- | --- |');
  for (const { what, recall, ms } of rows)
    lines.push(
      `| ${what} | ${recall?.toFixed(3) ?? ''} | ${median(ms).toFixed(1)} | ${quantile(ms, 0.95).toFixed(1)} |`,
    );

  const added = join(flags.dir, `added-${String(Date.now())}`);
  await makeSet(added, count, count + 1000, 2);
  const readers = [runChild('read'), runChild('read')];
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const start = performance.now();
  for await (const event of addSet(added, location))
    if (event.type === 'served')
      lines.push(
        '',
        `added 1,000 albums while two processes read: served after ${((performance.now() - start) / 1000).toFixed(1)} s`,
      );
  await new Promise((resolve) => setTimeout(resolve, 5000));
  for (const { child, done } of readers) {
    child.stdin.end();
    const { searches, versions, mixed } = (await done) as Awaited<ReturnType<typeof readOn>>;
    lines.push(
      `a reader: ${String(searches)} searches, ${String(versions)} versions seen, ${String(mixed)} mixed answers`,
    );
  }
  console.log(lines.join('\n'));
}

if (flags.child === 'measure') console.log(JSON.stringify(await measure()));
else if (flags.child === 'read') console.log(JSON.stringify(await readOn()));
else await main();
process.exit(0);
