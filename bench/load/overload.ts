import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../machine.ts';
import { residentMb } from '../process.ts';
import type { Server } from '../server.ts';
import type { Orders, Outcome } from './clients.ts';
import { startProber } from './prober.ts';

export interface OverloadOptions {
  order: (orders: Orders) => Promise<Outcome>;
  clients: number;
  /** Duration of the measurement of the server's capacity. */
  seconds: number;
  /** Duration of the overload, at twice that rate. */
  minutes: number;
  probed: readonly string[];
}

const mostGrowth = 0.1;

/** Least-squares slope of evenly spaced values. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
  const [over, under] = values.reduce(
    ([a, b], value, i) => [a + (i - middle) * (value - mean), b + (i - middle) ** 2],
    [0, 0],
  );
  return over / under;
}

const ofAll = (ms: readonly number[]) =>
  `p50 ${quantile(ms, 0.5).toFixed(1)} ms, p99 ${quantile(ms, 0.99).toFixed(1)} ms`;

/** Sends pictures at twice the server's capacity, and prints the outcome. @returns the problems found */
export async function overload(server: Server, options: OverloadOptions): Promise<string[]> {
  const { order, clients, seconds, minutes, probed } = options;
  const { base, pid } = server;
  const reached = await order({ base, what: 'pictures', seconds, clients });
  const rate = reached.answeredMs.length / reached.seconds;

  const everySeconds = Math.min(10, (60 * minutes) / 20);
  const memory: number[] = [];
  const stopProber = startProber(base, probed);
  const outcome = order({ base, what: 'pictures', seconds: 60 * minutes, rate: 2 * rate });
  for (let i = 1; i * everySeconds <= 60 * minutes; i += 1) {
    await sleep(1000 * everySeconds);
    memory.push(residentMb(pid));
  }
  const { answeredMs, refusedMs, faults, delayMs } = await outcome;
  const probes = await stopProber();

  const lastHalf = memory.slice(Math.floor(memory.length / 2));
  const growth = slope(lastHalf);
  const share = (growth * (lastHalf.length - 1)) / (lastHalf[0] ?? NaN);
  const mb = (value: number | undefined) => `${(value ?? NaN).toFixed(0)} MB`;
  console.log(`
### Overload: ${server.contender.label}

${String(minutes)} minutes at ${(2 * rate).toFixed(1)} pictures a second, twice the ${rate.toFixed(1)} that ${String(clients)} clients reached.

| what                               |     |
| ---------------------------------- | --- |
| answered, right album first        | ${String(answeredMs.length)}; ${ofAll(answeredMs)} |
| refused with 503 and Retry-After   | ${String(refusedMs.length)}; ${ofAll(refusedMs)} |
| anything else                      | ${String(Object.values(faults).reduce((sum, one) => sum + one, 0))} |
${probed.map((path) => `| \`${path}\` | ${String(probes.ms[path]?.length)}; ${ofAll(probes.ms[path] ?? [])} |`).join('\n')}
| resident memory, every ${everySeconds.toFixed(1)} s | first ${mb(memory[0])}, least ${mb(Math.min(...memory))}, most ${mb(Math.max(...memory))}, last ${mb(memory.at(-1))} |
| its slope over the last half       | ${((60 / everySeconds) * growth).toFixed(2)} MB a minute: ${(100 * share).toFixed(1)} % in that half |
| event loop, clients and prober     | p99 ${delayMs.toFixed(1)} ms and ${probes.delayMs.toFixed(1)} ms late |`);
  return [
    ...Object.entries({ ...faults, ...probes.faults }).map(
      ([fault, times]) => `${fault} (${String(times)} times)`,
    ),
    ...(answeredMs.length === 0 ? ['nothing was answered'] : []),
    ...(share > mostGrowth ? ['memory grows'] : []),
  ];
}
