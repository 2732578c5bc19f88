import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A result as Lambda hands it on to API Gateway. */
export interface LambdaResult {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
  isBase64Encoded: boolean;
}

/** Lambda's runtime API on loopback, as https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html has it. */
export interface RuntimeApi {
  /** `host:port`, for AWS_LAMBDA_RUNTIME_API. */
  host: string;
  /**
   * Hands an event to the function and waits for its result.
   *
   * @param timeoutMs what the invocation's deadline is, from now
   */
  invoke: (event: object, timeoutMs?: number) => Promise<LambdaResult>;
  stop: () => void;
}

export async function startRuntimeApi(): Promise<RuntimeApi> {
  const waiting: ServerResponse[] = [];
  const events: { id: string; event: object; deadline: number }[] = [];
  const pending = new Map<
    string,
    { resolve: (result: LambdaResult) => void; reject: (error: Error) => void }
  >();
  const hand = () => {
    while (waiting.length > 0 && events.length > 0) {
      const response = waiting.shift();
      const next = events.shift();
      if (!response || !next) return;
      response
        .writeHead(200, {
          'Content-Type': 'application/json',
          'Lambda-Runtime-Aws-Request-Id': next.id,
          'Lambda-Runtime-Deadline-Ms': String(next.deadline),
          'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:eu-west-3:1:function:test',
          'Lambda-Runtime-Trace-Id': 'Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700',
        })
        .end(JSON.stringify(next.event));
    }
  };
  const server = createServer((request, response) => {
    const [, , runtime, kind, id = '', what] = (request.url ?? '').split('/');
    if (request.method === 'GET' && runtime === 'runtime' && id === 'next') {
      waiting.push(response);
      // a function that has ended waits no more
      response.once('close', () => {
        if (waiting.includes(response)) waiting.splice(waiting.indexOf(response), 1);
      });
      hand();
      return;
    }
    void buffer(request).then((body) => {
      const text = body.toString();
      response.writeHead(202, { 'Content-Type': 'application/json' }).end('{"status":"OK"}');
      const asked = pending.get(id);
      if (kind === 'invocation' && what === 'response')
        asked?.resolve(JSON.parse(text) as LambdaResult);
      else for (const { reject } of asked ? [asked] : pending.values()) reject(new Error(text));
      pending.delete(id);
    });
  });
  server.requestTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  let count = 0;
  return {
    host: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    invoke: (event, timeoutMs = 30_000) =>
      new Promise((resolve, reject) => {
        const id = `00000000-0000-4000-8000-${String((count += 1)).padStart(12, '0')}`;
        pending.set(id, { resolve, reject });
        events.push({ id, event, deadline: Date.now() + timeoutMs });
        hand();
      }),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
