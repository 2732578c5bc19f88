/**
 * The clients of bench/load.ts, in a separate process: it receives `Orders` as messages and replies to each with an
 * `Outcome`. Every picture and every text sent is unique.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import {
  pictureQuery,
  searchByPicture,
  textQuery,
  withComment,
  words,
  type Found,
} from '../queries.ts';

export interface Orders {
  base: string;
  what: 'pictures' | 'texts';
  seconds: number;
  /** Closed loop: number of clients, each of which sends its next request after the previous response. */
  clients?: number;
  /** Open loop: requests per second, regardless of how many are pending. */
  rate?: number;
}

export interface Outcome {
  /** From the first request to the last response. */
  seconds: number;
  /** Latencies of right responses, and of 503 responses with Retry-After. */
  answeredMs: number[];
  refusedMs: number[];
  /** All other outcomes with their counts. */
  faults: Record<string, number>;
  /** CPU time of the clients themselves. */
  processorSeconds: number;
  /** 99th percentile of their event loop's delay, in ms. */
  delayMs: number;
}

const pictures = process.argv.slice(2).map((file) => readFileSync(file));
const agent = new Agent();
/** The first album for each picture, by server, recorded while the server was idle. */
const known = new Map<string, number[]>();
let sent = 0;

async function knownAt(base: string): Promise<number[]> {
  const albums = known.get(base) ?? [];
  for (const picture of pictures.slice(albums.length))
    albums.push((await searchByPicture(base, picture)).results[0]?.album_id ?? NaN);
  known.set(base, albums);
  return albums;
}

/** @returns whether the server refused the request with Retry-After */
async function ask({ base, what }: Orders, right: number[], outcome: Outcome): Promise<boolean> {
  const n = (sent += 1);
  const which = n % pictures.length;
  const { path, ...query } =
    what === 'texts'
      ? textQuery(words(n))
      : pictureQuery(withComment(pictures[which] ?? Buffer.alloc(0), String(n)));
  const start = performance.now();
  const fault = (name: string) => {
    outcome.faults[name] = (outcome.faults[name] ?? 0) + 1;
  };
  try {
    const { statusCode, headers, body } = await request(base + path, {
      ...query,
      dispatcher: agent,
    });
    const text = await body.text();
    const ms = performance.now() - start;
    if (statusCode === 503 && headers['retry-after'] !== undefined) {
      outcome.refusedMs.push(ms);
      return true;
    }
    if (statusCode !== 200) fault(`status ${String(statusCode)}: ${text.slice(0, 200)}`);
    else {
      const { results } = JSON.parse(text) as Found;
      const [first] = results;
      if (results.length !== 10) fault(`${String(results.length)} albums`);
      else if (what === 'pictures' && first?.album_id !== right[which])
        fault(
          `album ${String(first?.album_id)} (${String(first?.similarity_score)}) first, not ${String(right[which])}`,
        );
      else outcome.answeredMs.push(ms);
    }
  } catch (error) {
    fault(`no answer: ${String((error as NodeJS.ErrnoException).code ?? error)}`);
  }
  return false;
}

async function work(orders: Orders): Promise<Outcome> {
  const outcome: Outcome = {
    ...{ seconds: 0, answeredMs: [], refusedMs: [], faults: {} },
    ...{ processorSeconds: 0, delayMs: 0 },
  };
  const right = orders.what === 'pictures' ? await knownAt(orders.base) : [];
  const resolution = 10;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const until = start + 1000 * orders.seconds;
  const underWay = new Set<Promise<unknown>>();
  if (orders.rate === undefined)
    for (let i = 0; i < (orders.clients ?? 1); i += 1)
      underWay.add(
        (async () => {
          while (performance.now() < until)
            if (await ask(orders, right, outcome)) await sleep(1000);
        })(),
      );
  else
    for (let due = start; due < until; due += 1000 / orders.rate) {
      await sleep(Math.max(0, due - performance.now()));
      const one = ask(orders, right, outcome).finally(() => underWay.delete(one));
      underWay.add(one);
    }
  await Promise.all(underWay);
  outcome.seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  outcome.processorSeconds = (user + system) / 1e6;
  outcome.delayMs = delay.percentile(99) / 1e6 - resolution;
  return outcome;
}

process.on('message', (orders: Orders) => {
  void work(orders).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit()); // the parent has ended
