/**
 * Searching albums by name: quality and time, with names drawn from a catalog and varied.
 *
 *     npx tsx bench/names.ts METADATA [--names 200] [--copies 1] [--show]
 *
 * METADATA is a `valid_metadata_final.json`. `--copies N` searches a catalog N times as large, whose further albums have
 * other artists and titles: words of the catalog, drawn at random. `--show` prints the names that were missed.
 */
import { parseArgs } from 'node:util';
import type { Album } from '../lib/catalog/album.ts';
import { Catalog } from '../lib/catalog/catalog.ts';
import { NameIndex } from '../lib/catalog/name-index.ts';
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
const words = own.flatMap(({ artist, albumName }) => [artist ?? '', albumName ?? '']);
const phrase = () => `${words[below(words.length)] ?? ''} ${words[below(words.length)] ?? ''}`;
const copies = Number(values.copies);
const albums: Album[] = Array.from({ length: copies }, (_, copy) =>
  copy === 0 ? own : own.map((album) => ({ ...album, artist: phrase(), albumName: phrase() })),
).flat();

globalThis.gc?.();
const held = () => {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
const before = held();
const processor = process.cpuUsage();
const start = performance.now();
const index = await NameIndex.build(albums);
const built = performance.now() - start;
const { user, system } = process.cpuUsage(processor);
globalThis.gc?.();
const megabytes = (held() - before) / 1e6;

console.log(`${machine()}; ${albums.length.toLocaleString('en')} albums\n`);
console.log(
  `Built in ${built.toFixed(0)} ms (${((user + system) / 1000).toFixed(0)} ms processor time), ` +
    `${globalThis.gc ? megabytes.toFixed(0) : '? (NODE_OPTIONS=--expose-gc)'} MB\n`,
);

// Names long enough to be told apart: several words, or eight letters.
const telling = own.filter(({ artist, albumName }) =>
  [artist, albumName].every((name) => /[\p{L}\p{N}].{2}/u.test(name ?? '')),
);
const drawn = Array.from({ length: Number(values.names) }, () => telling[below(telling.length)]);
const keyOf = ({ artist, albumName }: Album) =>
  `${nameKey(artist ?? '')}\n${nameKey(albumName ?? '')}`;
console.log('| query | first | among three | median, ms | 99 %, ms |');
console.log('| --- | --- | --- | --- | --- |');
const everything: number[] = [];
for (const [name, vary] of Object.entries(variants)) {
  const times: number[] = [];
  const ranks = drawn.map((album) => {
    if (!album) throw new Error('the catalog has no such names');
    const query = vary({ artist: album.artist ?? '', title: album.albumName ?? '' });
    const began = performance.now();
    const rows = index.search(query, { limit: 10 });
    times.push(performance.now() - began);
    // Another edition with the same names is as right.
    const rank = rows.findIndex((row) => {
      const found = albums[row];
      return found !== undefined && keyOf(found) === keyOf(album);
    });
    if (values.show && (rank < 0 || rank > 2)) console.log(`missed: ${query}`);
    return rank;
  });
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
const suggested = typed.map((query) => {
  const began = performance.now();
  index.search(query, { limit: 8, everyWord: true });
  return performance.now() - began;
});
console.log(
  `As typed, one letter at a time (${String(typed.length)} queries): median ${median(suggested).toFixed(1)} ms, 99 % ${quantile(suggested, 0.99).toFixed(1)} ms, longest ${Math.max(...suggested).toFixed(1)} ms`,
);
