/**
 * Searching albums by name: quality and time, with names drawn from a catalog and varied.
 *
 *     npx tsx bench/names.ts METADATA [--names 200] [--copies 1] [--show]
 *
 * METADATA is a `valid_metadata_final.json`. `--copies N` searches a catalog N times as large, whose further albums have
 * other artists and titles: words of the catalog, drawn at random, and one invented word in a quarter of the names, so
 * that there are about half a million different words in a million albums. `--show` prints the names that were missed.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Catalog } from '../lib/catalog/catalog.ts';
import { NameIndex, type NamedAlbums, type NameSearchOptions } from '../lib/catalog/name-index.ts';
import { nameWords } from '../lib/catalog/name-words.ts';
import { machine, median, quantile } from './machine.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    names: { type: 'string', default: '200' },
    copies: { type: 'string', default: '1' },
    show: { type: 'boolean', default: false },
  },
});
const [metadata] = positionals;
if (metadata === undefined) {
  console.error('usage: npx tsx bench/names.ts METADATA [--names 200] [--copies 1] [--show]');
  process.exit(2);
}

/** A linear congruential generator (Numerical Recipes' constants): the same names each time. */
let state = 1;
const random = () => (state = (1664525 * state + 1013904223) >>> 0) / 2 ** 32;
const below = (count: number) => Math.floor(random() * count);

/** A name without case, accents and punctuation. */
const nameKey = (name: string) =>
  nameWords(name)
    .flatMap(([parts = []]) => parts)
    .join(' ');

/** Two neighbouring letters swapped, one left out or one replaced, in the longest word; the first letter stays. */
function misspell(name: string): string {
  const [longest = ''] = name.split(' ').sort((a, b) => b.length - a.length);
  const at = 1 + below(longest.length - 2);
  const [before, one, next, after] = [
    longest.slice(0, at),
    longest.charAt(at),
    longest.charAt(at + 1),
    longest.slice(at + 2),
  ];
  const wrong = [before + next + one + after, before + next + after, `${before}x${next}${after}`];
  return name.replace(longest, () => wrong[below(wrong.length)] ?? longest);
}

const variants: Record<string, (album: { artist: string; title: string }) => string> = {
  'as written': ({ artist, title }) => `${artist} ${title}`,
  'upper case': ({ artist, title }) => `${artist} ${title}`.toUpperCase(),
  'without accents and punctuation': ({ artist, title }) => nameKey(`${artist} ${title}`),
  'title first': ({ artist, title }) => `${title} ${artist}`,
  'title alone': ({ title }) => title,
  'without its last letters': ({ artist, title }) => `${artist} ${title}`.slice(0, -2),
  'without the artist’s first words': ({ artist, title }) =>
    `${artist.split(' ').at(-1) ?? ''} ${title}`,
  'artist - title': ({ artist, title }) => `${artist} - ${title}`,
  'a typing error': ({ artist, title }) => misspell(`${artist} ${title}`),
};

const catalog = await Catalog.open(metadata);
const own = [...catalog.albums()];
const size = Number(values.copies) * own.length;
const words = own.flatMap(({ artist, albumName }) => [artist ?? '', albumName ?? '']);
/** Four to nine letters. */
const invented = () =>
  Array.from({ length: 4 + below(6) }, () => 'eaionrtlsu'.charAt(below(10))).join('');
const phrase = () =>
  [words[below(words.length)], words[below(words.length)], random() < 1 / 4 ? invented() : ''].join(
    ' ',
  );
const [artists, titles] = (['artist', 'albumName'] as const).map((field) =>
  Array.from(
    { length: size },
    (_, row) => own[row]?.[field] ?? (row < own.length ? null : phrase()),
  ),
) as [(string | null)[], (string | null)[]];
const original = (row: number) => catalog.atRow(row % own.length);
const albums: NamedAlbums = {
  size,
  artist: (row) => artists[row] ?? null,
  albumName: (row) => titles[row] ?? null,
  label: (row) => original(row).label,
  genre: (row) => original(row).genre,
  releaseYear: (row) => original(row).releaseYear,
  score: (row) => original(row).score,
};

globalThis.gc?.();
const held = () => {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
const before = held();
/** Longest time that the event loop did not run, in milliseconds. */
const delay = monitorEventLoopDelay({ resolution: 1 });
const stall = () => {
  const longest = delay.max / 1e6;
  delay.reset();
  return longest.toFixed(0);
};
delay.enable();
await nextTurn();
const processor = process.cpuUsage();
const start = performance.now();
const index = await NameIndex.build(albums);
const built = performance.now() - start;
const { user, system } = process.cpuUsage(processor);
const builtStall = stall();
globalThis.gc?.();
const megabytes = (held() - before) / 1e6;

console.log(`${machine()}; ${size.toLocaleString('en')} albums\n`);
console.log(
  `Built in ${built.toFixed(0)} ms (${((user + system) / 1000).toFixed(0)} ms processor time, longest stall ${builtStall} ms), ` +
    `${globalThis.gc ? megabytes.toFixed(0) : '? (NODE_OPTIONS=--expose-gc)'} MB\n`,
);

// Names long enough to be told apart: several words, or eight letters.
const telling = own.filter(({ artist, albumName }) =>
  [artist, albumName].every((name) => /[\p{L}\p{N}].{2}/u.test(name ?? '')),
);
const drawn = Array.from({ length: Number(values.names) }, () => telling[below(telling.length)]);
const keyOf = (artist: string | null, albumName: string | null) =>
  `${nameKey(artist ?? '')}\n${nameKey(albumName ?? '')}`;

/** Searches between two turns of the event loop. @returns the rows, and the milliseconds */
async function search(query: string, options: NameSearchOptions) {
  await nextTurn();
  const began = performance.now();
  const rows = await index.search(query, options);
  return { rows, ms: performance.now() - began };
}

console.log('| query | first | among three | median, ms | 99 %, ms |');
console.log('| --- | --- | --- | --- | --- |');
const everything: number[] = [];
for (const [name, vary] of Object.entries(variants)) {
  const times: number[] = [];
  const ranks: number[] = [];
  for (const album of drawn) {
    if (!album) throw new Error('the catalog has no such names');
    const query = vary({ artist: album.artist ?? '', title: album.albumName ?? '' });
    const { rows, ms } = await search(query, { limit: 10 });
    times.push(ms);
    // Another edition with the same names is as right.
    const wanted = keyOf(album.artist, album.albumName);
    const rank = rows.findIndex(
      (row) => keyOf(albums.artist(row), albums.albumName(row)) === wanted,
    );
    if (values.show && (rank < 0 || rank > 2)) console.log(`missed: ${query}`);
    ranks.push(rank);
  }
  everything.push(...times);
  const share = (most: number) =>
    `${((100 * ranks.filter((rank) => rank >= 0 && rank <= most).length) / ranks.length).toFixed(1)} %`;
  console.log(
    `| ${name} | ${share(0)} | ${share(2)} | ${median(times).toFixed(1)} | ${quantile(times, 0.99).toFixed(1)} |`,
  );
}
console.log(`\nAll: median ${median(everything).toFixed(1)} ms`);
const typed = drawn.flatMap((album) => {
  const name = `${album?.artist ?? ''} ${album?.albumName ?? ''}`.slice(0, 12);
  return Array.from(name, (_, i) => name.slice(0, i + 1)).filter((part) => part.trim() !== '');
});
const suggested: number[] = [];
for (const query of typed) suggested.push((await search(query, { limit: 8, everyWord: true })).ms);
console.log(
  `As typed, one letter at a time (${String(typed.length)} queries): median ${median(suggested).toFixed(1)} ms, 99 % ${quantile(suggested, 0.99).toFixed(1)} ms, longest ${Math.max(...suggested).toFixed(1)} ms`,
);
console.log(`Longest stall of the event loop during all searches: ${stall()} ms`);
