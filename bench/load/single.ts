import { median } from '../machine.ts';
import { pictureQuery, textQuery, withComment, words, type Query } from '../queries.ts';
import type { Server } from '../server.ts';

const times = 20;
/** Starts above the numbers of bench/load/clients.ts, so that first requests here were never sent there. */
let asked = 1_000_000;

/** Sends one request. Returns the latency at the client, and in the server according to its log. */
async function timed(server: Server, { path, ...query }: Query) {
  const id = `single-${String((asked += 1))}`;
  const logged = server.contender.ours ? server.logged(id) : undefined;
  const start = performance.now();
  const response = await fetch(server.base + path, {
    ...query,
    headers: { ...query.headers, 'x-request-id': id },
  });
  await response.arrayBuffer();
  const ms = performance.now() - start;
  const line = await logged;
  if (!response.ok) throw new Error(`${path}: status ${String(response.status)}`);
  return { ms, inServer: line?.ms ?? NaN, cached: line?.cached ?? false };
}

/** Measures a single client: a picture, a text, and a repetition of each. */
export async function measureSingle(
  server: Server,
  picture: Buffer,
): Promise<Record<string, number>> {
  const taken = new Map<string, number[]>();
  const keep = (name: string, ms: number) => taken.set(name, [...(taken.get(name) ?? []), ms]);
  for (let i = 0; i < times; i += 1) {
    const queries = {
      picture: pictureQuery(withComment(picture, String((asked += 1)))),
      text: textQuery(words((asked += 1))),
    };
    for (const [name, query] of Object.entries(queries)) {
      const first = await timed(server, query);
      if (first.cached) throw new Error(`Expected an uncached ${name}.`);
      const again = await timed(server, query);
      keep(`one client: ${name}, ms`, first.ms);
      keep(`one client: ${name}, ms in the server`, first.inServer);
      keep(`one client: same ${name} again, ms`, again.ms);
      keep(`one client: same ${name} again, ms in the server`, again.inServer);
    }
  }
  return Object.fromEntries(Array.from(taken, ([name, ms]) => [name, median(ms)]));
}
