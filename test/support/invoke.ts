import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './requests.ts';
import { cleanEnvironment } from './server.ts';

/** What happened in a function's process. */
export interface Report {
  /** Loaded stages, one entry per load. */
  loads: string[];
  /** Native libraries that the process has mapped. */
  natives: string[];
  statuses: number[];
  /** The results themselves, in the order of the events. */
  results: { statusCode: number; headers: Record<string, string>; body: string }[];
  /** All log lines. */
  log: Record<string, unknown>[];
}

/**
 * Runs a built bundle in a separate process: sends the events of each round concurrently, one round after the
 * other, and reports what the process loaded.
 *
 * @param settings environment variables in addition to a clean environment
 * @param remainingMs the invocation's remaining time; by default its context has none
 */
export async function invoke(
  name: string,
  rounds: object[][],
  { settings = {}, remainingMs }: { settings?: Record<string, string>; remainingMs?: number } = {},
): Promise<Report> {
  const { env, remove } = cleanEnvironment();
  const context =
    remainingMs === undefined ? '{}' : `{ getRemainingTimeInMillis: () => ${String(remainingMs)} }`;
  const program = `
    const write = process.stdout.write.bind(process.stdout);
    const { readFileSync } = require('node:fs');
    const rounds = JSON.parse(readFileSync(0, 'utf8'));
    const { handler } = require(${JSON.stringify(join(root, 'dist', 'functions', `${name}.cjs`))});
    (async () => {
      const results = [];
      for (const events of rounds)
        results.push(...(await Promise.all(events.map((event) => handler(event, ${context})))));
      const maps = readFileSync('/proc/self/maps', 'utf8');
      const natives = ['onnxruntime', 'faiss-node', 'libvips'].filter((name) => maps.includes(name));
      write('REPORT ' + JSON.stringify({ natives, results }) + '\\n');
    })();`;
  try {
    const running = promisify(execFile)(process.execPath, ['-e', program], {
      cwd: root,
      env: { ...env, ...settings },
      maxBuffer: 1e8,
    });
    running.child.stdin?.end(JSON.stringify(rounds));
    const { stdout } = await running;
    const lines = stdout.trim().split('\n');
    const report = lines.find((line) => line.startsWith('REPORT ')) ?? '';
    const log = lines
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const loads = log
      .filter((line) => line['msg'] === 'loaded')
      .map((line) => String(line['stage']));
    const rest = JSON.parse(report.slice('REPORT '.length)) as Pick<Report, 'natives' | 'results'>;
    return { ...rest, loads, log, statuses: rest.results.map((one) => one.statusCode) };
  } finally {
    remove();
  }
}

/** An event of API Gateway's HTTP API. */
export const event = (
  method: string,
  path: string,
  query = '',
  body?: Buffer,
  type = 'image/jpeg',
) => ({
  version: '2.0',
  rawPath: path,
  rawQueryString: query,
  headers: body ? { 'content-type': type } : {},
  requestContext: { http: { method, path, sourceIp: '192.0.2.1' }, requestId: 'r' },
  body: body?.toString('base64'),
  isBase64Encoded: body !== undefined,
});
