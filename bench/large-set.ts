/**
 * A server on a large set of files: time until it is ready, times of requests, memory, and how long anything holds up the
 * event loop, as the longest answer of `/health` meanwhile.
 *
 *     MODELS_DIR=… CLIP_DTYPE=q8 npx tsx bench/large-set.ts [--n 30]
 *
 * bench/make-large-set.ts makes one, to which a model (`clip`) is added.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { machine, median, quantile, root } from './machine.ts';
import { processTree } from './process.ts';
import { checkout, Server } from './server.ts';

const { values } = parseArgs({ options: { n: { type: 'string', default: '30' } } });
const times = Number(values.n);
process.once('SIGINT', () => process.exit(130)); // an exit handler kills the running server

/** Often enough to meet a stall, and seldom enough to take little of the processor's time. */
const watchEveryMs = 10;

/** Asks for `/health` all the time. @returns ends it, and gives the longest answer in milliseconds */
function watchHealth(base: string): () => Promise<number> {
  let longest = 0;
  const ended = new AbortController();
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const start = performance.now();
      const answered = await fetch(`${base}/health`).then(
        () => true,
        () => false, // it does not listen yet
      );
      if (answered) longest = Math.max(longest, performance.now() - start);
      await sleep(watchEveryMs);
    }
  })();
  return async () => {
    ended.abort();
    await watching;
    return longest;
  };
}

async function residentMb(pid: number): Promise<{ own: number; mapped: number }> {
  const sum = { own: 0, mapped: 0 };
  for (const one of processTree(pid)) {
    const status = await readFile(`/proc/${String(one)}/status`, 'utf8');
    const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
    sum.own += kilobytes('RssAnon') / 1024;
    sum.mapped += kilobytes('RssFile') / 1024;
  }
  return sum;
}

/**
 * Starts the server. @returns when it is ready, with the time that it took in seconds
 *
 * @param watch watches the server meanwhile
 */
async function startServer(watch?: typeof watchHealth) {
  const start = performance.now();
  const server = await Server.start(checkout('this', root, { LOG_LEVEL: 'warn' }));
  const stopWatching = watch?.(server.base);
  while (!(await fetch(`${server.base}/ready`).then(({ ok }) => ok, () => false))) await sleep(50); // prettier-ignore
  if (stopWatching)
    console.log(`/health while it loads: ${(await stopWatching()).toFixed(0)} ms at most`);
  return { server, start, seconds: (performance.now() - start) / 1000 };
}

const starts: number[] = [];
for (let round = 0; round < 3; round += 1) {
  const { server, seconds } = await startServer();
  starts.push(seconds);
  await server.stop();
}
console.log(
  `${machine()}: ready after ${starts.map((seconds) => seconds.toFixed(1)).join(', ')} s`,
);
const { server, start } = await startServer(watchHealth);
const { base } = server;

async function ask(path: string): Promise<number> {
  const begin = performance.now();
  const response = await fetch(base + path);
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${text}`);
  return performance.now() - begin;
}

let stopWatching = watchHealth(base);
await ask('/api/albums?query=names');
console.log(
  `names ready ${((performance.now() - start) / 1000).toFixed(1)} s after the start; /health meanwhile: ${(await stopWatching()).toFixed(0)} ms at most`,
);

const { genres } = (await (await fetch(`${base}/api/genres`)).json()) as {
  genres: { genre: string; albums: number }[];
};
const [common, rare] = [genres[0], genres.at(-1)].map((one) =>
  encodeURIComponent(one?.genre ?? ''),
);
const words = ['blue waves', 'a red square', 'portrait', 'night city', 'flowers', 'abstract lines'];
const text = (i: number) =>
  `/api/search-by-text?query=${encodeURIComponent(words[i % words.length] ?? '')}`;
for (const word of words.keys()) await ask(text(word)); // from here on the embeddings are cached
const sample = (await (await fetch(`${base}${text(0)}&k=50`)).json()) as {
  results: { album_id: number; artist: string | null; album_name: string | null }[];
};
const album = (i: number) => sample.results[i % sample.results.length];
const kinds: [string, (i: number) => string][] = [
  ['text, new', (i) => `/api/search-by-text?query=${encodeURIComponent(`${words[i % 6] ?? ''} ${String(i)}`)}`],
  ['text, repeated', text],
  ['text, most common genre', (i) => `${text(i)}&genre=${common ?? ''}`],
  ['text, rarest genre', (i) => `${text(i)}&genre=${rare ?? ''}`],
  ['text, genre and years', (i) => `${text(i)}&genre=${common ?? ''}&year_min=1990&year_max=2005`],
  ['similar', (i) => `/api/albums/${String(album(i)?.album_id)}/similar`],
  ['similar, most common genre', (i) => `/api/albums/${String(album(i)?.album_id)}/similar?genre=${common ?? ''}`],
  ['statistics', () => '/api/stats'],
  ['names', (i) => `/api/albums?query=${encodeURIComponent(`${album(i)?.artist ?? ''} ${album(i)?.album_name ?? ''}`)}`],
  ['suggestions for one letter', (i) => `/api/suggest?query=${String.fromCharCode(97 + (i % 26))}`],
]; // prettier-ignore
// Timed without, and repeated with, the requests of /health: those take a good part of a core.
for (const [name, path] of kinds) {
  const taken: number[] = [];
  for (let i = 0; i < times; i += 1) taken.push(await ask(path(i)));
  stopWatching = watchHealth(base);
  for (let i = 0; i < times; i += 1) await ask(path(times + i));
  console.log(
    `${name}: median ${median(taken).toFixed(1)} ms, 95 % ${quantile(taken, 0.95).toFixed(1)}, longest ${Math.max(...taken).toFixed(0)}; /health ${(await stopWatching()).toFixed(0)} ms at most`,
  );
}
const memory = await residentMb(server.pid);
console.log(
  `memory: ${(memory.own + memory.mapped).toFixed(0)} MB, of which ${memory.mapped.toFixed(0)} MB are mapped files`,
);
stopWatching = watchHealth(base);
const searching = (async () => {
  let answered = 0;
  for (const end = performance.now() + 15_000; performance.now() < end; answered += 1)
    await ask(text(answered));
  return answered;
})();
process.kill(server.pid, 'SIGHUP');
console.log(
  `reload: ${String(await searching)} searches in 15 s, all answered; /health ${(await stopWatching()).toFixed(0)} ms at most`,
);
await server.stop();
