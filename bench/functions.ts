// Size of each bundle, the time from process start to its first answer, and the memory held then.
// usage: npx tsx bench/functions.ts [--n 5]        (over the starter set, or the files that MODELS_DIR names)
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, median, root } from './machine.ts';
import { photograph } from './pictures.ts';

const { values } = parseArgs({ options: { n: { type: 'string', default: '5' } } });
const dist = join(root, 'dist', 'functions');
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

console.log(machine());
for (const [name, request] of functions) {
  const file = join(dist, `${name}.cjs`);
  const program = `const { handler } = require(${JSON.stringify(file)});
    handler(JSON.parse(require('node:fs').readFileSync(0, 'utf8')), {}).then(({ statusCode }) =>
      process.stdout.write('DONE ' + statusCode + ' ' + process.memoryUsage.rss() + '\\n', () => process.exit(0)));`;
  const taken: number[] = [];
  const resident: number[] = [];
  let status = '';
  for (let round = 0; round < Number(values.n); round += 1) {
    const start = performance.now();
    const output = execFileSync(process.execPath, ['-e', program], {
      input: JSON.stringify(request),
      env: { ...process.env, LOG_LEVEL: 'error' },
      encoding: 'utf8',
    });
    taken.push(performance.now() - start);
    const [, code = 'no answer', bytes = '0'] = /DONE (\d+) (\d+)/.exec(output) ?? [];
    status = code;
    resident.push(Number(bytes) / 2 ** 20);
  }
  const size = statSync(file).size;
  const natives = /require\("(onnxruntime-node|faiss-node|sharp)"\)/.test(
    readFileSync(file, 'utf8'),
  );
  console.log(
    `${name}: ${(size / 1024).toFixed(0)} KB, first answer (${status}) after ${median(taken).toFixed(0)} ms, ${median(resident).toFixed(0)} MB${natives ? ', natives loaded when needed' : ''}`,
  );
}
