/**
 * Compares servers under concurrent load: checkouts of this repository and the Python prototype (Linux).
 *
 *     npx tsx bench/load.ts [pictures] [texts] [single] [build] [overload] --ours [LABEL=]DIR … --models DIR
 *         --images DIR [--dtype q8] [--peer HOME] [--peer-serve SCRIPT] [--rounds 5] [--seconds 10]
 *         [--clients 12] [--covers 1500] [--minutes 10] [--with LABEL:NAME=VALUE …]
 *
 * `--with` gives one contender a setting, e.g. `--with now:ENCODER_WORKERS=2`.
 * Runs all scenarios but `overload` by default; `overload` runs on the last checkout only. Each checkout is a folder
 * where `npm run setup` has been run. docs/load.md describes the method. Exits with 1 if any response was wrong.
 */
import { fork } from 'node:child_process';
import { on } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureBuild } from './load/build.ts';
import type { Orders, Outcome } from './load/clients.ts';
import { Comparison } from './load/comparison.ts';
import { overload } from './load/overload.ts';
import { startProber } from './load/prober.ts';
import { tellingPictures } from './load/telling-pictures.ts';
import { measureSingle } from './load/single.ts';
import { machine, quantile, root } from './machine.ts';
import { photograph } from './pictures.ts';
import { processorSeconds, proportionalMb, residentMb } from './process.ts';
import { checkout, defaultPeerScript, labelled, peer, Server } from './server.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ours: { type: 'string', multiple: true, default: [root] },
    peer: { type: 'string' },
    'peer-serve': { type: 'string', default: defaultPeerScript(root) },
    models: { type: 'string' },
    images: { type: 'string' },
    dtype: { type: 'string', default: 'q8' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    clients: { type: 'string', default: '12' },
    covers: { type: 'string', default: '1500' },
    minutes: { type: 'string', default: '10' },
    with: { type: 'string', multiple: true, default: [] },
  },
});
const known = ['pictures', 'texts', 'single', 'build', 'overload'];
const { models, images, dtype } = values;
if (
  models === undefined ||
  images === undefined ||
  positionals.some((one) => !known.includes(one))
) {
  console.error(
    `usage: npx tsx bench/load.ts [${known.join('] [')}] --ours [LABEL=]DIR … --models DIR --images DIR`,
  );
  process.exit(2);
}
const chosen = positionals.length > 0 ? positionals : known.slice(0, -1);
const [rounds, seconds, clients] = [values.rounds, values.seconds, values.clients].map(Number) as [
  number,
  number,
  number,
];
process.once('SIGINT', () => process.exit(130)); // the exit handlers kill the servers
process.once('SIGTERM', () => process.exit(143));

/** Settings of one contender, from `--with`. */
const settingsOf = (label: string) =>
  Object.fromEntries(
    values.with
      .filter((setting) => setting.startsWith(`${label}:`))
      .map((setting) => labelled(setting.slice(label.length + 1))),
  );

const checkouts = new Map(values.ours.map(labelled));
const contenders = [
  ...Array.from(checkouts, ([label, dir]) =>
    checkout(label, dir, {
      ...{ MODELS_DIR: resolve(models), IMAGES_DIR: resolve(images) },
      ...{ CLIP_DTYPE: dtype, LOG_LEVEL: 'info' },
      ...settingsOf(label),
    }),
  ),
  ...(values.peer === undefined ? [] : [peer(values.peer, values['peer-serve'])]),
];
const servers: Server[] = [];
const anyPicture = await photograph(640, 640);
for (const contender of contenders) {
  const server = await Server.start(contender);
  await server.firstAnswer(anyPicture);
  server.pause();
  servers.push(server);
}
/** The server that the others are compared with. */
const judged = servers[checkouts.size - 1];
if (judged === undefined) throw new Error('Expected at least one --ours.');

const folder = await mkdtemp(join(tmpdir(), 'bench-load-'));
process.once('exit', () => {
  rmSync(folder, { recursive: true });
});
const problems: string[] = [];
judged.resume();
const telling = await tellingPictures(judged.base);
console.log(`${machine()}; ${dtype}\n\n${telling.told}\n`);
const pictures = await Promise.all(
  telling.pictures.map(async (picture, i) => {
    const file = join(folder, `${String(i)}.jpg`);
    await writeFile(file, picture);
    return file;
  }),
);
const thumbnail = await keptThumbnail(judged.base);
judged.pause();
const child = fork(join(root, 'bench', 'load', 'clients.ts'), pictures);

const outcomes = on(child, 'message')[Symbol.asyncIterator]();
child.once('exit', (status) => {
  if (status !== 0) throw new Error('The client process exited with an error.');
});

async function order(orders: Orders): Promise<Outcome> {
  child.send(orders);
  const { value } = (await outcomes.next()) as IteratorYieldResult<[Outcome]>;
  return value[0];
}

for (const server of servers) {
  server.resume();
  await order({ base: server.base, what: 'pictures', seconds: 0, clients: 0 }); // records the right answers
  server.pause();
}

/** Requests a thumbnail, so that it is cached. @returns its path */
async function keptThumbnail(base: string): Promise<string> {
  for (const name of await readdir(images ?? '')) {
    const path = `/api/image/${/^album_(\d+)\.jpg$/.exec(name)?.[1] ?? ''}?size=320`;
    if ((await fetch(base + path)).ok) return path;
  }
  throw new Error(`Expected a cover of an album in ${String(images)}.`);
}

/** Measures concurrent clients, each of which sends its next request after the previous response. */
async function many({ base, pid, contender }: Server, what: Orders['what']) {
  await order({ base, what, seconds: 1, clients });
  const before = processorSeconds(pid);
  const outcome = await order({ base, what, seconds, clients });
  const taken = processorSeconds(pid) - before;
  const { answeredMs: ms, refusedMs, faults } = outcome;
  for (const [fault, times] of Object.entries(faults))
    problems.push(`${contender.label}, ${what}: ${fault} (${String(times)} times)`);
  if (refusedMs.length > 0)
    problems.push(`${contender.label}, ${what}: refused ${String(refusedMs.length)} times`);
  return {
    outcome,
    figures: {
      [`${what} a second`]: ms.length / outcome.seconds,
      [`${what} p50, ms`]: quantile(ms, 0.5),
      [`${what} p99, ms`]: quantile(ms, 0.99),
      [`${what}: processor ms of each`]: (1000 * taken) / ms.length,
      [`${what} a processor second`]: ms.length / taken,
      [`${what}: processor ms of each at the clients`]:
        (1000 * outcome.processorSeconds) / ms.length,
    },
  };
}

type Figures = Record<string, number>;
const scenarios: Record<string, (server: Server) => Promise<Figures>> = {
  async pictures(server) {
    await fetch(server.base + thumbnail).then((response) => response.arrayBuffer());
    await server.eventLoopLag();
    const stopProber = startProber(server.base, ['/health', thumbnail]);
    const { figures, outcome } = await many(server, 'pictures');
    const { ms, faults, delayMs } = await stopProber();
    problems.push(...Object.keys(faults).map((fault) => `${server.contender.label}: ${fault}`));
    const lag = await server.eventLoopLag();
    const [health = [], kept = []] = Object.values(ms);
    return {
      ...figures,
      ...{ 'health p50, ms': quantile(health, 0.5), 'health p99, ms': quantile(health, 0.99) },
      'kept thumbnail p50, ms': quantile(kept, 0.5),
      'kept thumbnail p99, ms': quantile(kept, 0.99),
      ...(lag !== undefined && { "the server's event loop p99, ms": lag }),
      "the prober's event loop p99 late, ms": delayMs,
      "the clients' event loop p99 late, ms": outcome.delayMs,
    };
  },
  texts: async (server) => (await many(server, 'texts')).figures,
  single: (server) => measureSingle(server, anyPicture),
  async build({ contender }) {
    const dir = checkouts.get(contender.label);
    if (!contender.ours || dir === undefined) return {};
    const { aSecond, processorSeconds } = await measureBuild({
      ...{ checkout: dir, modelDir: resolve(models, 'clip'), dtype },
      ...{ pictures, covers: Number(values.covers), folder: join(folder, 'build') },
    });
    return {
      'index build: covers a second': aSecond,
      'index build: processor ms of each': 1000 * processorSeconds,
      'index build: covers a processor second': 1 / processorSeconds,
    };
  },
};

const comparison = new Comparison(
  servers.map(({ contender }) => contender.label),
  judged.contender.label,
);
for (const scenario of chosen.filter((name) => name !== 'overload'))
  for (let round = 0; round < rounds; round += 1)
    for (let i = 0; i < servers.length; i += 1) {
      const server = servers[(round + i) % servers.length];
      if (server === undefined) continue;
      if (scenario !== 'build') server.resume();
      comparison.add(server.contender.label, (await scenarios[scenario]?.(server)) ?? {});
      server.pause();
    }
for (const server of servers)
  comparison.add(server.contender.label, {
    'resident memory, MB': residentMb(server.pid),
    'resident memory, shared pages by share, MB': proportionalMb(server.pid),
  });
comparison.divide(
  "server's pictures ÷ builder's covers, a processor second",
  'pictures a processor second',
  'index build: covers a processor second',
);
comparison.divide(
  "server's pictures ÷ builder's covers, a second",
  'pictures a second',
  'index build: covers a second',
);
console.log(comparison.toString());

if (chosen.includes('overload')) {
  judged.resume();
  problems.push(
    ...(await overload(judged, {
      ...{ order, clients, seconds, minutes: Number(values.minutes) },
      probed: ['/health', thumbnail],
    })),
  );
}
child.disconnect();
await Promise.all(servers.map((server) => server.stop()));
if (problems.length > 0) {
  console.log(`\nWrong:\n${problems.map((problem) => `- ${problem}`).join('\n')}`);
  process.exitCode = 1;
}
