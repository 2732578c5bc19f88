/** Servers under measurement, each a separate process on loopback. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from './process.ts';
import { searchByPicture } from './queries.ts';

/** A server that can be started. */
export interface Contender {
  label: string;
  /** Whether it is this project's server, which logs a line of JSON for each request. */
  ours: boolean;
  /** @returns program and arguments */
  command: (port: number) => [string, ...string[]];
  env?: NodeJS.ProcessEnv;
}

/** The built server of a checkout of this repository. */
export const checkout = (label: string, dir: string, env: NodeJS.ProcessEnv): Contender => ({
  label,
  ours: true,
  command: () => [process.execPath, resolve(dir, 'dist', 'functions', 'server.cjs')],
  env,
});

/**
 * The Python prototype.
 *
 * @param script starts it; its arguments are the prototype's folder and a port
 */
export const peer = (home: string, script: string): Contender => ({
  label: 'peer',
  ours: false,
  command: (port) => ['bash', resolve(script), resolve(home), String(port)],
});

/** @returns label and folder; @param value `LABEL=DIR`, or a folder alone, which is its own label */
export function labelled(value: string): [string, string] {
  const [, label = value, dir = value] = /^([^=/]+)=(.+)$/.exec(value) ?? [];
  return [label, dir];
}

export const freePort = () =>
  new Promise<number>((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => {
        done(port);
      });
    });
  });

/** The log line of one request. */
export interface LogLine {
  request_id?: string;
  /** From the request's arrival to its response. */
  ms?: number;
  cached?: boolean;
}

/** A running server. */
export class Server {
  readonly contender: Contender;
  readonly base: string;
  readonly metricsUrl: string;
  readonly #child: ChildProcess;
  #stopping = false;
  readonly #awaited = new Map<string, (line: LogLine) => void>();

  private constructor(contender: Contender, port: number, metricsPort: number) {
    this.contender = contender;
    this.base = `http://127.0.0.1:${String(port)}`;
    this.metricsUrl = `http://127.0.0.1:${String(metricsPort)}/metrics`;
    const [program, ...args] = contender.command(port);
    this.#child = spawn(program, args, {
      env: {
        ...{ ...process.env, ...contender.env },
        ...{ PORT: String(port), HOST: '127.0.0.1', METRICS_PORT: String(metricsPort) },
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (this.#child.stdout)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.#read(line);
      });
    this.#child.once('exit', (status) => {
      process.off('exit', this.#kill);
      if (!this.#stopping) throw new Error(`${contender.label} ended with ${String(status)}.`);
    });
    process.on('exit', this.#kill);
  }

  static async start(contender: Contender): Promise<Server> {
    return new Server(contender, await freePort(), await freePort());
  }

  get pid(): number {
    return this.#child.pid ?? NaN;
  }

  /** Repeats a search by picture until it succeeds. */
  async firstAnswer(picture: Buffer): Promise<void> {
    const start = performance.now();
    for (;;) {
      try {
        await searchByPicture(this.base, picture);
        return;
      } catch (error) {
        if (performance.now() - start > 120_000) throw error;
        await sleep(10);
      }
    }
  }

  /** Suspends its processes, so that they take no CPU time from the measured ones. */
  pause(): void {
    for (const pid of processTree(this.pid)) process.kill(pid, 'SIGSTOP');
  }

  resume(): void {
    for (const pid of processTree(this.pid)) process.kill(pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const ended = once(this.#child, 'exit');
    this.resume();
    this.#child.kill('SIGTERM');
    await ended;
  }

  /** @returns the log line of a request that will be sent with this id */
  logged(requestId: string): Promise<LogLine> {
    return new Promise((done) => {
      this.#awaited.set(requestId, done);
    });
  }

  /** 99th percentile of the event-loop delay since the last call, in ms; `undefined` if the server has no metrics. */
  async eventLoopLag(): Promise<number | undefined> {
    const response = await fetch(this.metricsUrl).catch(() => undefined);
    const seconds = /^nodejs_eventloop_lag_p99_seconds(?:\{.*\})? (\S+)/m.exec(
      (await response?.text()) ?? '',
    )?.[1];
    return seconds === undefined ? undefined : 1000 * Number(seconds);
  }

  readonly #kill = () => {
    this.#child.kill('SIGKILL');
  };

  #read(line: string): void {
    if (this.#awaited.size === 0) return;
    const logged = JSON.parse(line) as LogLine;
    this.#awaited.get(logged.request_id ?? '')?.(logged);
    this.#awaited.delete(logged.request_id ?? '');
  }
}

/** Default path of the peer's start script, in a sibling of this repository's folder. */
export const defaultPeerScript = (root: string) => join(root, '..', 'shared', 'peer', 'serve.sh');
