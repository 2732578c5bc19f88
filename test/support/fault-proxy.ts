import {
  createServer,
  request as send,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

/** A fault injected into one request to S3 or its response. */
export type Fault =
  /** The connection is reset before a response. */
  | 'reset'
  /** 503 with S3's error code for throttling. */
  | 'slow_down'
  /** Half of the body, then the connection is reset. */
  | 'truncate'
  /** Half of the body, then the connection is closed normally. */
  | 'cut'
  /** Half of the body, then no more data. */
  | 'stall'
  /** No response. */
  | 'silence'
  /** The whole body, with one byte changed. */
  | 'lie'
  /** Unchanged, but with the header for encryption with a KMS key. */
  | 'kms'
  | 'deny'
  | 'vanish';

export interface Asked {
  method: string;
  /** Includes the query. */
  path: string;
  headers: IncomingMessage['headers'];
}

export interface FaultProxy {
  endpoint: string;
  /** Chooses the fault for a request; `undefined` for none. `nth` counts the requests from 0. */
  plan: (asked: Asked, nth: number) => Fault | undefined | Promise<Fault | undefined>;
  /** All requests so far. */
  asked: Asked[];
  /** Clears plan and requests. */
  reset: () => void;
  stop: () => Promise<void>;
}

const xml = (code: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>made up</Message></Error>`;

/** Starts a proxy between a client and S3 that forwards requests or injects faults. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const [hostname, port] = target.split(':');
  const healthy = () => undefined;
  const proxy: FaultProxy = {
    endpoint: '',
    plan: healthy,
    asked: [],
    reset: () => {
      proxy.plan = healthy;
      proxy.asked = [];
    },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer((incoming, outgoing) => {
    void pass(incoming, outgoing);
  });
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method = '', url = '', headers } = incoming;
    const asked = { method, path: url, headers };
    const planned = proxy.plan(asked, proxy.asked.length);
    proxy.asked.push(asked);
    const fault = await planned;
    if (answerItself(fault, incoming, outgoing)) return;
    // The host header stays unchanged, since the client has signed it.
    const onward = send({ hostname, port, method, path: url, headers }, (answer) => {
      passBack(fault, answer, outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.endpoint = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return proxy;
}

/** @returns whether the proxy has handled the request itself */
function answerItself(
  fault: Fault | undefined,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): boolean {
  const refuse = (status: number, code: string) => {
    incoming.resume();
    const head = { 'Content-Type': 'application/xml' };
    outgoing.writeHead(status, head).end(incoming.method === 'HEAD' ? undefined : xml(code));
    return true;
  };
  switch (fault) {
    case 'reset':
      incoming.socket.resetAndDestroy();
      return true;
    case 'silence':
      return true;
    case 'slow_down':
      return refuse(503, 'SlowDown');
    case 'deny':
      return refuse(403, 'AccessDenied');
    case 'vanish':
      return refuse(404, 'NoSuchKey');
    default:
      return false;
  }
}

function passBack(
  fault: Fault | undefined,
  answer: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const { statusCode = 502, headers } = answer;
  if (fault === 'kms') headers['x-amz-server-side-encryption'] = 'aws:kms';
  outgoing.writeHead(statusCode, headers);
  if (fault === undefined || fault === 'kms' || outgoing.req.method === 'HEAD') {
    answer.pipe(outgoing);
    return;
  }
  const chunks: Buffer[] = [];
  answer.on('data', (chunk: Buffer) => chunks.push(chunk));
  answer.once('end', () => {
    const body = Buffer.concat(chunks);
    const half = body.subarray(0, body.length >> 1);
    if (fault === 'lie') {
      body.writeUInt8((body.at(-1) ?? 0) ^ 1, body.length - 1);
      outgoing.end(body);
    } else
      outgoing.write(half, () => {
        if (fault === 'truncate') outgoing.socket?.resetAndDestroy();
        if (fault === 'cut') outgoing.socket?.end();
      });
  });
}
