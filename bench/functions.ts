// Size of each bundle, the time from process start to its first answer, and the memory held then.
// usage: npx tsx bench/functions.ts [--n 5] [--vs [LABEL=]DIR]     (over the starter set, or the files that MODELS_DIR
// names; --vs measures the built functions of another checkout in turn with these)
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, median, root } from './machine.ts';
import { photograph } from './pictures.ts';
import { labelled } from './server.ts';

const { values } = parseArgs({
  options: { n: { type: 'string', default: '5' }, vs: { type: 'string' } },
});
const picture = (await photograph(640, 640)).toString('base64');

const event = (method: string, path: string, query = '', body?: string) => ({
  version: '2.0',
  rawPath: path,
  rawQueryString: query,
  headers: body === undefined ? {} : { 'content-type': 'image/jpeg' },
  requestContext: { http: { method, path, sourceIp: '127.0.0.1' }, requestId: 'bench' },
  body,
  isBase64Encoded: body !== undefined,
});

const functions: [string, object][] = [
  ['root', event('GET', '/')],
  ['health', event('GET', '/health')],
  ['stats', event('GET', '/api/stats')],
  ['image', event('GET', '/api/image/1')],
  ['search-by-text', event('GET', '/api/search-by-text', 'query=red+circle')],
  ['search-by-image', event('POST', '/api/search-by-image', '', picture)],
];

/** One process: it loads the bundle, answers the request and ends. */
function firstAnswer(file: string, request: object) {
  const program = `const { handler } = require(${JSON.stringify(file)});
    handler(JSON.parse(require('node:fs').readFileSync(0, 'utf8')), {}).then(({ statusCode }) =>
      process.stdout.write('DONE ' + statusCode + ' ' + process.memoryUsage.rss() + '\\n', () => process.exit(0)));`;
  const start = performance.now();
  const output = execFileSync(process.execPath, ['-e', program], {
    input: JSON.stringify(request),
    env: { ...process.env, LOG_LEVEL: 'error' },
    encoding: 'utf8',
  });
  const ms = performance.now() - start;
  const [, status = 'no answer', bytes = '0'] = /DONE (\d+) (\d+)/.exec(output) ?? [];
  return { ms, status, mb: Number(bytes) / 2 ** 20 };
}

const contenders = [
  ['this', root] as const,
  ...(values.vs === undefined ? [] : [labelled(values.vs)]),
].map(([label, dir]) => ({ label, dist: resolve(dir, 'dist', 'functions') }));

console.log(machine());
for (const [name, request] of functions) {
  const taken = contenders.map(({ label, dist }) => ({
    label,
    file: join(dist, `${name}.cjs`),
    answers: [] as ReturnType<typeof firstAnswer>[],
  }));
  for (let round = 0; round < Number(values.n); round += 1)
    for (const { file, answers } of round % 2 === 0 ? taken : [...taken].reverse())
      answers.push(firstAnswer(file, request));
  for (const { label, file, answers } of taken) {
    const statuses = [...new Set(answers.map(({ status }) => status))].join(', ');
    const natives = /require\("(onnxruntime-node|faiss-node|sharp)"\)/.test(
      readFileSync(file, 'utf8'),
    );
    console.log(
      `${name} (${label}): ${(statSync(file).size / 1024).toFixed(0)} KB, first answer (${statuses}) after ${median(answers.map(({ ms }) => ms)).toFixed(0)} ms, ${median(answers.map(({ mb }) => mb)).toFixed(0)} MB${natives ? ', natives loaded when needed' : ''}`,
    );
  }
  const [ours, other] = taken.map(({ answers }) => median(answers.map(({ ms }) => ms)));
  if (ours !== undefined && other !== undefined)
    console.log(
      `${name}: ${(ours / other).toFixed(2)} × the time of ${contenders[1]?.label ?? ''}`,
    );
}
