import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Agent, request } from 'undici';

export interface Probes {
  /** Latencies of the responses in milliseconds, by path. */
  ms: Record<string, number[]>;
  /** Failures, i.e. anything but a 200 response, with their counts. */
  faults: Record<string, number>;
  /** 99th percentile of the prober's own event-loop delay, in ms: the limit of its accuracy. */
  delayMs: number;
}

const everyMs = 50;
const resolution = 10;

/** Requests each path every 50 ms, without waiting for earlier responses. @returns a function that stops it */
export function startProber(base: string, paths: readonly string[]): () => Promise<Probes> {
  const probes: Probes = {
    ms: Object.fromEntries(paths.map((path) => [path, []])),
    faults: {},
    delayMs: 0,
  };
  const agent = new Agent();
  const delay = monitorEventLoopDelay({ resolution });
  const underWay = new Set<Promise<void>>();
  const probe = async (path: string) => {
    const start = performance.now();
    const fault = (name: string) => {
      probes.faults[`${path}: ${name}`] = (probes.faults[`${path}: ${name}`] ?? 0) + 1;
    };
    try {
      const { statusCode, body } = await request(base + path, { dispatcher: agent });
      await body.dump();
      if (statusCode === 200) probes.ms[path]?.push(performance.now() - start);
      else fault(`status ${String(statusCode)}`);
    } catch (error) {
      fault(String((error as NodeJS.ErrnoException).code ?? error));
    }
  };
  delay.enable();
  const timer = setInterval(() => {
    for (const path of paths) {
      const one = probe(path).finally(() => underWay.delete(one));
      underWay.add(one);
    }
  }, everyMs);
  return async () => {
    clearInterval(timer);
    probes.delayMs = delay.percentile(99) / 1e6 - resolution;
    delay.disable();
    await Promise.all(underWay);
    await agent.close();
    return probes;
  };
}
