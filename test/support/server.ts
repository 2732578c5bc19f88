import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { root } from './requests.ts';

/** A test that fails does not reach its `stop`: its server would keep the file of tests from ending. */
const running = new Set<ChildProcess>();
if (process.env['NODE_TEST_CONTEXT'] !== undefined)
  // not in a benchmark
  after(() => {
    for (const child of running) child.kill('SIGKILL');
  });

export type LogLine = Record<string, unknown> & { msg: string };

/** The built server as a separate process, on a free port of the loopback address. */
export interface ServerProcess {
  url: string;
  child: ChildProcess;
  /** All log lines. */
  log: LogLine[];
  /** Resolves with the first matching line, past or future; rejects if the process ends first. */
  logged: (fits: (line: LogLine) => boolean) => Promise<LogLine>;
  /** Resolves with the exit status; `null` if a signal ended the process. */
  ended: Promise<number | null>;
  /** Sends SIGTERM. Resolves like `ended`. */
  stop: () => Promise<number | null>;
}

/** An environment without the developer's own files and settings. */
export function cleanEnvironment(): { env: NodeJS.ProcessEnv; remove: () => void } {
  const empty = mkdtempSync(join(tmpdir(), 'no-models-'));
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOST: '127.0.0.1',
    PORT: '0',
    MODELS_DIR: empty,
    STARTER_DIR: join(root, 'models', 'starter'),
  };
  return {
    env,
    remove: () => {
      rmSync(empty, { recursive: true, force: true });
    },
  };
}

/**
 * Starts `dist/functions/server.cjs`.
 *
 * @param settings environment variables in addition to a clean environment
 * @param until what to wait for: the log line 'ready' (all loaded) or 'listening', or only the process
 */
export async function startServer(
  settings: Record<string, string> = {},
  until: 'ready' | 'listening' | 'spawned' = 'ready',
): Promise<ServerProcess> {
  const { env, remove } = cleanEnvironment();
  const child = spawn(process.execPath, [join(root, 'dist', 'functions', 'server.cjs')], {
    cwd: root,
    env: { ...env, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  const log: LogLine[] = [];
  const waiting = new Set<(line: LogLine | null) => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    for (const tell of waiting) tell(line);
  });
  child.once('exit', (_, signal) => {
    if (signal !== null && !child.killed)
      process.stderr.write(`the server was ended from outside, by ${signal}\n`);
  });
  let over = false;
  const ended = once(child, 'close').then(() => {
    over = true;
    running.delete(child);
    remove();
    for (const tell of waiting) tell(null);
    return child.exitCode;
  });
  const logged: ServerProcess['logged'] = (fits) =>
    new Promise((resolve, reject) => {
      const tell = (line: LogLine | null) => {
        if (line && !fits(line)) return;
        waiting.delete(tell);
        if (line) resolve(line);
        else
          reject(
            new Error(`the server exited early; its last lines: ${JSON.stringify(log.slice(-3))}`),
          );
      };
      const past = log.find(fits);
      if (past) resolve(past);
      else if (over) tell(null);
      else waiting.add(tell);
    });
  const stop = () => {
    child.kill('SIGTERM'); // no effect if it has ended
    return ended;
  };
  let url = '';
  if (until !== 'spawned') {
    url = String((await logged((line) => line.msg === 'listening'))['url']);
    if (until === 'ready') await logged((line) => line.msg === 'ready');
  }
  return { url, child, log, logged, ended, stop };
}
