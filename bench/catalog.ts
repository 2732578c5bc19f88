// How long reading the metadata file takes: the median of several reads in one process.
// usage: npx tsx bench/catalog.ts METADATA_FILE [--n 9]        Exits with status 1 if the limit is exceeded.
import { parseArgs } from 'node:util';
import { Catalog } from '../lib/catalog/catalog.ts';
import { machine, median } from './machine.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { n: { type: 'string', default: '9' } },
});
const [path] = positionals;
if (path === undefined) {
  console.error('usage: npx tsx bench/catalog.ts METADATA_FILE [--n 9]');
  process.exit(2);
}
/** For 25,790 albums, in milliseconds. */
const limitMs = 1000;

console.log(machine());
const taken: number[] = [];
for (let round = 0; round < Number(values.n); round += 1) {
  const start = performance.now();
  const { size, dirtyRows } = await Catalog.open(path);
  taken.push(performance.now() - start);
  if (round === 0) console.log(`${String(size)} albums, ${String(dirtyRows)} dirty rows`);
}
const missed = median(taken) > limitMs;
console.log(
  `read in ${median(taken).toFixed(0)} ms (limit ${String(limitMs)} ms${missed ? ': MISSED' : ''}; the first time ${(taken[0] ?? NaN).toFixed(0)} ms)`,
);
process.exitCode = missed ? 1 : 0;
