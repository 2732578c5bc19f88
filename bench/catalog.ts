// How long it takes to read the list of albums, as JSON and in its compact form, how long that holds up other work, what
// stays in memory, and how long filters take.
// usage: npx tsx bench/catalog.ts METADATA_FILE [--n 5] [--copies 1]       (--copies 39: a million albums)
// Exits with status 1 if a limit is exceeded.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Catalog } from '../lib/catalog/catalog.ts';
import { RowFilter, type AlbumFilter } from '../lib/catalog/filter.ts';
import { bitAt } from '../lib/bitmap.ts';
import { writeRows } from '../pipeline/indexing/metadata-file.ts';
import { writeCompactFile } from '../pipeline/indexing/write-compact.ts';
import { copiedAlbums } from './copied-albums.ts';
import { machine, median } from './machine.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { n: { type: 'string', default: '5' }, copies: { type: 'string', default: '1' } },
});
const [given] = positionals;
if (given === undefined) {
  console.error('usage: npx tsx bench/catalog.ts METADATA_FILE [--n 5] [--copies 1]');
  process.exit(2);
}
const [rounds, copies] = [Number(values.n), Number(values.copies)];
/** To read 25,790 albums as JSON, or a million in the compact form, in milliseconds. */
const limitMs = 1000;
/** To select a million albums by a filter, in milliseconds. */
const filterLimitMs = 5;

const folder = await mkdtemp(join(tmpdir(), 'catalog-bench-'));
const compactPath = join(folder, 'list.arrow');
let missed = false;

async function measure(name: string, path: string, open: () => Promise<Catalog>, limit: number) {
  const taken: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let catalog: Catalog | undefined;
  for (let round = 0; round < rounds; round += 1) {
    catalog = undefined;
    await sleep(50);
    delay.enable();
    const start = performance.now();
    catalog = await open();
    taken.push(performance.now() - start);
    delay.disable();
  }
  const over = median(taken) > limit;
  missed ||= over;
  const { size } = await stat(path);
  console.log(
    `${name}: ${(size / 1e6).toFixed(0)} MB, read in ${median(taken).toFixed(0)} ms${limit < Infinity ? ` (limit ${String(limit)} ms${over ? ': MISSED' : ''})` : ''}, other work waits for ${(delay.max / 1e6).toFixed(0)} ms at most`,
  );
  return catalog;
}

try {
  const path = copies > 1 ? join(folder, 'list.json') : given;
  if (copies > 1) await writeRows(path, copiedAlbums(given, copies));
  const isLarge = copies > 1;
  const list = await measure('JSON', path, () => Catalog.open(path), isLarge ? Infinity : limitMs);
  if (!list) throw new Error('--n is to be 1 or more');
  console.log(
    `${machine()}: ${list.size.toLocaleString('en')} albums, ${String(list.dirtyRows)} dirty rows`,
  );
  await writeCompactFile(compactPath, list);
  const catalog = await measure(
    'compact form',
    compactPath,
    () => Catalog.openCompact(compactPath),
    limitMs,
  );
  const { chunks } = list.columns;
  const bytes = chunks.reduce((sum, { ids, years, scores, bestNewMusic, genres, texts }) => {
    const columns = [ids, years, scores, bestNewMusic, genres];
    const all = [...columns, ...Object.values(texts).flatMap((text) => [text.bytes, text.offsets])];
    return sum + all.reduce((total, { byteLength }) => total + byteLength, 0);
  }, 0);
  console.log(`in memory: ${(bytes / 1e6).toFixed(0)} MB`);
  const filters: AlbumFilter[] = [
    { genres: ['Rock'] },
    { genres: ['Rock'], yearMin: 1990, yearMax: 2005 },
    { scoreMin: 8, bestNewMusic: true },
  ];
  const { columns } = catalog ?? list;
  for (const filter of filters) {
    let selected = 0;
    const measureSelection = (selectionOf: () => RowFilter): number => {
      const taken: number[] = [];
      for (let round = 0; round < 30; round += 1) {
        const selection = selectionOf();
        const start = performance.now();
        const bitmap = selection.bitsOf(filter);
        taken.push(performance.now() - start);
        selected = 0;
        for (let row = 0; row < columns.size; row += 1) selected += Number(bitAt(bitmap, row));
      }
      return median(taken);
    };
    const first = measureSelection(() => new RowFilter(columns));
    const kept = new RowFilter(columns);
    const again = measureSelection(() => kept);
    const over = again > filterLimitMs;
    missed ||= over;
    console.log(
      `${JSON.stringify(filter)}: ${selected.toLocaleString('en')} albums in ${first.toFixed(2)} ms, and ${again.toFixed(2)} ms with kept criteria (limit ${String(filterLimitMs)} ms${over ? ': MISSED' : ''})`,
    );
  }
} finally {
  await rm(folder, { recursive: true });
}
process.exitCode = missed ? 1 : 0;
