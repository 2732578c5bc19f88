// Fuzzes every reader with mutated inputs: in the running service, in a separate process and with the command line.
// usage: npx tsx bench/fuzz/fuzz.ts [--seconds N | --inputs N] [--seed S]
//
// Looks for 5xx responses, stalls of over a second, crashes, memory growth, wrong albums, and errors without a code.
// Writes the inputs that cause one to a folder and exits with status 1. Needs only npm run setup:dev.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync, cpSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { heicPhoto } from '../../test/support/pictures.ts';
import { machine, root } from '../machine.ts';
import { mutate, Random } from './mutate.ts';
import type { Outcome, ReaderName } from './readers.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    inputs: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const mostInputs = Number(values.inputs ?? Infinity);
const endAt =
  performance.now() +
  1000 * Number(values.seconds ?? (values.inputs === undefined ? 60 : Infinity));
const seed = Number(values.seed);

/** Longer than this is a stall, in milliseconds. */
const stallMs = 1000;
/** The same for one response under load on a busy machine. */
const unansweredMs = 5000;
/** Allowed memory growth after the first part of the run, in MB: allocator noise. */
const growthMb = 200;

const starter = join(root, 'models', 'starter');
const catalog = join(starter, 'catalog');
const metadataPath = join(catalog, 'valid_metadata_final.json');
const coverOf = (id: number) => readFileSync(join(catalog, 'images', `album_${String(id)}.jpg`));
const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
const empty = join(folder, 'no-models');
mkdirSync(empty);

interface Tally {
  inputs: number;
  answered: number;
  refused: number;
  slowestMs: number;
}
const tallies = new Map<string, Tally>();
const faults: string[] = [];

function count(reader: string, refused: boolean, ms: number): void {
  const tally = tallies.get(reader) ?? { inputs: 0, answered: 0, refused: 0, slowestMs: 0 };
  tally.inputs += 1;
  tally[refused ? 'refused' : 'answered'] += 1;
  tally.slowestMs = Math.max(tally.slowestMs, ms);
  tallies.set(reader, tally);
}

function fault(reader: string, input: Uint8Array | string, why: string): void {
  const path = join(folder, `fault-${String(faults.length + 1)}-${reader}`);
  writeFileSync(path, input);
  faults.push(`${reader}: ${why} (${path})`);
  console.error(`\nFAULT ${faults.at(-1) ?? ''}`);
}

const rssMb = (child: ChildProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1]) /
  1024;

// the service

const server = spawn(process.execPath, [join(root, 'dist', 'functions', 'server.cjs')], {
  env: {
    PATH: process.env['PATH'],
    HOST: '127.0.0.1',
    PORT: '0',
    MODELS_DIR: empty,
    STARTER_DIR: starter,
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
let url = '';
let ended = false;
const isOver = () => ended;
await new Promise<void>((resolve, reject) => {
  createInterface({ input: server.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as { msg: string; url?: string };
    if (line.msg === 'listening') url = line.url ?? '';
    if (line.msg === 'ready') resolve();
  });
  server.once('exit', () => {
    reject(new Error('the server exited'));
    if (!isOver()) fault('server', '', 'the process ended');
  });
});

const ids = (
  JSON.parse(readFileSync(metadataPath, 'utf8').replaceAll('NaN', 'null')) as { local_id: number }[]
).map(({ local_id: id }) => id);
const pictures = await Promise.all(
  (['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const).map(async (format) => {
    const { default: sharp } = await import('sharp');
    return sharp(coverOf(ids[7] ?? 0))
      .resize(200)
      .toFormat(format)
      .toBuffer();
  }),
);
pictures.push(heicPhoto);
const formOf = (picture: Uint8Array) =>
  Buffer.concat([
    Buffer.from(
      '--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n3\r\n--b\r\nContent-Disposition: form-data; name="genre[]"\r\n\r\nRock\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n',
    ),
    picture,
    Buffer.from('\r\n--b--\r\n'),
  ]);
const queries = [
  'query=red+circle&k=3&genre=Rock&year_min=1990',
  'query=a&genre[]=Jazz&offset=4&best_new_music=true',
  'query=%F0%9F%98%80&score_min=8.5&year_max=2000',
];

const post = (type: string, body: Uint8Array) =>
  fetch(`${url}/api/search-by-image?k=1`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: Buffer.from(body),
  });

async function ask(
  reader: string,
  input: Uint8Array,
  send: () => Promise<Response>,
): Promise<void> {
  const start = performance.now();
  try {
    const response = await send();
    const text = await response.text();
    const ms = performance.now() - start;
    count(reader, response.status >= 400, ms);
    if (ms > unansweredMs) fault(reader, input, `it was answered after ${ms.toFixed(0)} ms`);
    if (response.status >= 500)
      fault(reader, input, `${String(response.status)} ${text.slice(0, 200)}`);
  } catch (error) {
    fault(reader, input, `no answer: ${String(error)}`);
  }
}

const overHttp: Record<string, (random: Random) => Promise<void>> = {
  picture: (random) => {
    const input = mutate(random.pick(pictures), random);
    return ask('picture', input, () => post('image/jpeg', input));
  },
  form: (random) => {
    const input = mutate(formOf(random.pick(pictures).subarray(0, 3000)), random);
    return ask('form', input, () => post('multipart/form-data; boundary=b', input));
  },
  'form with a whole picture': (random) => {
    const whole = formOf(random.pick(pictures));
    const head = mutate(whole.subarray(0, 250), random);
    const input = Buffer.concat([head, whole.subarray(250)]);
    return ask('form with a whole picture', input, () =>
      post('multipart/form-data; boundary=b', input),
    );
  },
  'query string': (random) => {
    const input = mutate(Buffer.from(random.pick(queries)), random);
    const text = encodeURI(input.toString('latin1')).replaceAll('#', '%23');
    const path = random.pick([
      'search-by-text',
      `albums/${String(random.pick(ids))}/similar`,
      `image/${String(random.pick(ids))}`,
    ]);
    return ask('query string', input, () => fetch(`${url}/api/${path}?${text}`));
  },
};

/** Checks with an unmutated picture that the service still finds the right album. */
async function assertRight(random: Random): Promise<void> {
  const id = random.pick(ids);
  const found = await post('image/jpeg', coverOf(id)).then(
    (response) => response.text(),
    (error: unknown) => String(error),
  );
  if (!found.includes(`"results":[{"album_id":${String(id)},`))
    fault('right album', String(id), found.slice(0, 300));
}

/** Checks ten times a second that the service still answers /health in time. */
let slowestHealthMs = 0;
async function watchHealth(): Promise<void> {
  while (!isOver()) {
    const start = performance.now();
    await fetch(`${url}/health`)
      .then((response) => response.text())
      .catch(() => undefined);
    const ms = performance.now() - start;
    slowestHealthMs = Math.max(slowestHealthMs, ms);
    if (ms > stallMs && !isOver()) fault('health', '', `a stall of ${ms.toFixed(0)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// the file readers

const files: Record<ReaderName, () => Buffer> = {
  index: () => readFileSync(join(catalog, 'index', 'album_covers.index')),
  metadata: () => readFileSync(metadataPath),
  csv: () =>
    Buffer.from(
      `Artist,Album,Genre,Year,Score,Cover URL\n${ids
        .slice(0, 40)
        .map(
          (id) =>
            `"Artist ${String(id)}",Album,"Rock, Jazz",1999-03-02,8.1/10,https://example.org/${String(id)}.jpg`,
        )
        .join('\n')}\n`,
    ),
  manifest: () =>
    Buffer.from(
      JSON.stringify({
        format: 1,
        model: { name: 'm', dtype: 'q8', files: {} },
        preprocessing: null,
        index: { type: 'Flat', metric: 'inner_product', dimension: 512, vectors: 3 },
        skipped: [1],
        files: { 'album_covers.index': { bytes: 3, sha256: 'a'.repeat(64) } },
      }),
    ),
  journal: () =>
    Buffer.from(
      `0${JSON.stringify({ position: 0, albumId: 1, file: 'a', reason: 'b' })}\n`.repeat(3),
    ),
  model: () => Buffer.alloc(0),
};
const originals = new Map(Object.entries(files).map(([name, read]) => [name, read()]));
const modelParts = [
  'config.json',
  'preprocessor_config.json',
  'tokenizer.json',
  'onnx/vision_model.onnx',
  'onnx/text_model.onnx',
].map((name) => readFileSync(join(starter, name)));

let readerProcess: ChildProcess | undefined;
async function startReaders(): Promise<ChildProcess> {
  const child = fork(join(root, 'bench', 'fuzz', 'readers.ts'), [starter, metadataPath], {
    execArgv: ['--import', 'tsx'],
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return child;
}

async function read(reader: ReaderName, random: Random): Promise<void> {
  let input: Buffer;
  if (reader === 'model') {
    // the large graphs rarely: loading one is slow
    const part = random.below(20) === 0 ? 3 + random.below(2) : random.below(3);
    input = Buffer.concat([Buffer.of(part), mutate(modelParts[part] ?? Buffer.alloc(0), random)]);
  } else input = mutate(originals.get(reader) ?? Buffer.alloc(0), random);
  const child = (readerProcess ??= await startReaders());
  const start = performance.now();
  child.send({ reader, base64: input.toString('base64') });
  const over = new AbortController();
  const stall = AbortSignal.any([AbortSignal.timeout(20 * stallMs), over.signal]);
  const answer = await Promise.race([
    once(child, 'message', { signal: stall }).then(([outcome]) => outcome as Outcome),
    once(child, 'exit', { signal: stall }).then(([code, signal]) => ({
      outcome: 'fault' as const,
      cpuMs: 0,
      why: `the process ended: ${String(code ?? signal)}`,
    })),
  ]).catch((): Outcome => ({ outcome: 'fault', cpuMs: 0, why: 'it did not end' }));
  over.abort(); // stops waiting for the other event
  const ms = performance.now() - start;
  count(reader, answer.outcome !== 'read', ms);
  if (answer.outcome === 'fault') {
    fault(reader, input, answer.why);
    child.kill('SIGKILL');
    readerProcess = undefined;
  } else if (answer.cpuMs > stallMs || ms > unansweredMs)
    fault(
      reader,
      input,
      `it took ${answer.cpuMs.toFixed(0)} ms of a processor, ${ms.toFixed(0)} ms in all`,
    );
}

/** Runs the command line, only for a sample of the inputs: it takes a third of a second to start. */
async function verifySet(random: Random): Promise<void> {
  const dir = join(folder, 'set');
  mkdirSync(dir, { recursive: true });
  for (const name of ['album_covers.index', 'valid_metadata_final.json'])
    cpSync(join(catalog, 'index', name), join(dir, name));
  const name = random.pick(['album_covers.index', 'valid_metadata_final.json', 'manifest.json']);
  const input = mutate(
    originals.get(
      name === 'manifest.json' ? 'manifest' : name === 'album_covers.index' ? 'index' : 'metadata',
    ) ?? Buffer.alloc(0),
    random,
  );
  writeFileSync(join(dir, name), input);
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [join(root, 'dist', 'cli', 'shazam-visual.cjs'), 'verify', dir, '--no-covers'],
    {
      env: { PATH: process.env['PATH'], STARTER_DIR: starter },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [status] = (await once(child, 'close')) as [number | null];
  count('command line', status !== 0, performance.now() - start);
  if (![0, 1, 3].includes(status ?? -1) || /\n {4}at /.test(errors))
    fault('command line', input, `status ${String(status)}: ${errors.slice(0, 300)}`);
  rmSync(join(dir, 'manifest.json'), { force: true });
}

// the run

let sent = 0;
const goesOn = () => sent < mostInputs && performance.now() < endAt && faults.length < 20;
const kinds = Object.keys(overHttp);
const began = performance.now();
let baseline: number | undefined;
async function client(random: Random): Promise<void> {
  for (let own = 1; goesOn(); own += 1) {
    sent += 1;
    await overHttp[random.pick(kinds)]?.(random);
    if (own % 50 === 0) await assertRight(random);
    baseline ??= performance.now() - began > 20_000 || sent > 4000 ? rssMb(server) : undefined;
  }
}
async function fileReader(random: Random): Promise<void> {
  for (let own = 1; goesOn(); own += 1) {
    sent += 1;
    await read(
      random.pick([
        'index',
        'metadata',
        'csv',
        'csv',
        'manifest',
        'manifest',
        'journal',
        'journal',
        'model',
      ] as const),
      random,
    );
    if (own % 500 === 0) await verifySet(random);
  }
}
const progress = setInterval(() => {
  process.stderr.write(
    `\r${String(sent)} inputs, ${String(faults.length)} faults, ${((performance.now() - began) / 1000).toFixed(0)} s `,
  );
}, 1000);
const watching = watchHealth();
// Each client has its own generator, so that the inputs do not depend on timing.
const randoms = [0, 1, 2, 3].map((i) => new Random(seed + 1_000_003 * i));
await Promise.all(randoms.map((random, i) => (i === 0 ? fileReader(random) : client(random))));
const seconds = (performance.now() - began) / 1000;
const grown = rssMb(server) - (baseline ?? rssMb(server));
if (grown > growthMb) fault('memory', '', `the server grew by ${grown.toFixed(0)} MB`);
ended = true;
clearInterval(progress);
await watching;
readerProcess?.disconnect();
server.kill();

console.log(`\n${machine()}; seed ${String(seed)}\n`);
console.log('| reader | inputs | answered | refused | slowest |\n| --- | --- | --- | --- | --- |');
for (const [reader, { inputs, answered, refused, slowestMs }] of [...tallies].sort())
  console.log(
    `| ${reader} | ${String(inputs)} | ${String(answered)} | ${String(refused)} | ${slowestMs.toFixed(0)} ms |`,
  );
console.log(
  `\n${String(sent)} inputs in ${seconds.toFixed(0)} s; slowest /health ${slowestHealthMs.toFixed(0)} ms; the server's memory grew by ${grown.toFixed(0)} MB; ${String(faults.length)} faults`,
);
for (const one of faults) console.log(one);
if (faults.length === 0) rmSync(folder, { recursive: true });
process.exitCode = faults.length === 0 ? 0 : 1;
