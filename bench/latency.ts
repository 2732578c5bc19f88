// Latency of a running service over HTTP, this one or another implementation.
// usage: npx tsx bench/latency.ts URL [--vs OTHER_URL] [--n 40]
// With --vs, requests alternate between the two; also prints the ratio of the medians (above 1: the first is faster).
import { parseArgs } from 'node:util';
import { machine, median, quantile } from './machine.ts';
import { photograph } from './pictures.ts';
import { pictureQuery, textQuery, withComment, words, type Query } from './queries.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { vs: { type: 'string' }, n: { type: 'string', default: '40' } },
});
const [url] = positionals;
const rounds = Number(values.n);
if (url === undefined || !Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: npx tsx bench/latency.ts URL [--vs OTHER_URL] [--n 40]');
  process.exit(2);
}
const urls = values.vs === undefined ? [url] : [url, values.vs];
/** Unmeasured requests sent first. */
const warmUps = 3;

const small = await photograph(640, 640);
const large = await photograph(4032, 3024);
/** A number makes each query unique, since the service caches the embeddings of recent queries. */
const picture = (file: Buffer) => (n: number) => pictureQuery(withComment(file, String(n)));
const cases: [string, (n: number) => Query][] = [
  [`image 640×640 (${(small.length / 1024).toFixed(0)} KB)`, picture(small)],
  [`photo 4032×3024 (${(large.length / 2 ** 20).toFixed(1)} MB)`, picture(large)],
  ['text', (n) => textQuery(words(n))],
];
const firstNumber = 1000 * process.pid;

console.log(machine());
for (const [name, query] of cases) {
  const taken = urls.map((): number[] => []);
  for (let round = -warmUps; round < rounds; round += 1)
    for (const [i, base] of urls.entries()) {
      const { path, ...request } = query(firstNumber + round + warmUps);
      const start = performance.now();
      const response = await fetch(base + path, request);
      const body = (await response.json()) as { total_results?: number };
      const ms = performance.now() - start;
      if (!response.ok || body.total_results !== 10)
        throw new Error(`${base}: ${JSON.stringify(body)}`);
      if (round >= 0) taken[i]?.push(ms);
    }
  const figures = taken.map(
    (ms) => `p50 ${median(ms).toFixed(1)} ms, p95 ${quantile(ms, 0.95).toFixed(1)} ms`,
  );
  const [ours = [], other] = taken;
  const ratio = other ? `; ratio of medians ${(median(other) / median(ours)).toFixed(2)}` : '';
  console.log(`${name}: ${figures.join(' | ')}${ratio}`);
}
