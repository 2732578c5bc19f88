// How long the event loop that answers requests is blocked while files are loaded and albums are searched.
// usage: npx tsx bench/event-loop.ts [--metadata FILE] [--n 9]
// The metadata is synthetic if no FILE is given; the vectors always are.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loadConfig } from '../lib/config/config.ts';
import { digestFile } from '../lib/assets/manifest.ts';
import { createLogger } from '../lib/log.ts';
import { createServices } from '../lib/services.ts';
import { dimension, makeUpSet } from './made-up-set.ts';
import { machine, median, root } from './machine.ts';

const { values } = parseArgs({
  options: { metadata: { type: 'string' }, n: { type: 'string', default: '9' } },
});
/** The real catalog's size. */
const albums = 25_790;

const folder = await mkdtemp(join(tmpdir(), 'event-loop-'));
const names = await makeUpSet(folder, albums);
if (values.metadata !== undefined)
  await cp(values.metadata, join(folder, 'valid_metadata_final.json'));
const files: Record<string, unknown> = {};
for (const name of names) files[name] = await digestFile(join(folder, name));
await writeFile(
  join(folder, 'manifest.json'),
  JSON.stringify({
    ...{ format: 1, model: { name: 'none', dtype: 'q8', files: {} }, skipped: [], files },
    index: { type: 'Flat', metric: 'inner_product', dimension, vectors: albums },
    preprocessing: {},
  }),
);
await cp(join(root, 'models', 'starter'), join(folder, 'clip'), {
  recursive: true,
  filter: (path) => !path.includes('catalog'),
});
const services = () => createServices(loadConfig({ MODELS_DIR: folder }), createLogger('silent'));

/** Duration of the work, and maximum and 99th percentile of the event-loop delay during it, in milliseconds. */
async function watch(work: () => Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await sleep(20);
  delay.reset();
  await sleep(5); // the first sample after a reset does not count
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  await sleep(5); // records the delay at the end
  delay.disable();
  return { ms, most: delay.max / 1e6, p99: delay.percentile(99) / 1e6 };
}

console.log(`${machine()}; ${String(albums)} albums × ${String(dimension)}`);
const report = async (name: string, work: () => Promise<unknown>) => {
  const rounds: Awaited<ReturnType<typeof watch>>[] = [];
  for (let i = 0; i < Number(values.n); i += 1) rounds.push(await watch(work));
  const [ms, most, p99] = (['ms', 'most', 'p99'] as const).map((key) =>
    rounds.map((round) => round[key]),
  );
  console.log(
    `${name}: ${median(ms ?? []).toFixed(0)} ms; the event loop waits ${median(most ?? []).toFixed(1)} ms at most (${(most ?? []).map((one) => one.toFixed(0)).join(' ')}), p99 ${median(p99 ?? []).toFixed(1)} ms`,
  );
};
await report('load', () => services().corpus.load());
const served = services();
await served.corpus.load();
await report('reload', () => served.reload());
const ids = (
  JSON.parse(
    (await readFile(join(folder, 'valid_metadata_final.json'), 'utf8')).replaceAll('NaN', 'null'),
  ) as { local_id: number }[]
).map(({ local_id }) => local_id);
for (const [name, filter] of [
  ['100 searches at once', {}],
  ['100 searches at once by genre', { genres: ['Rock'] }],
] as const)
  await report(name, () =>
    Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        served.search.byAlbum(ids[i * 250] ?? 0, { k: 10, filter }),
      ),
    ),
  );
await rm(folder, { recursive: true });
process.exit(); // does not wait for monitors and threads
