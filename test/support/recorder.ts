import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/** A faked response. */
export interface MadeAnswer {
  status?: number;
  headers?: Record<string, string>;
  json: object;
}

/** A proxy that records the requests to a server, since the browser does not expose the bodies of uploads. */
export interface Recorder {
  url: string;
  requests: RecordedRequest[];
  /** Fakes some responses; requests for which it resolves to `undefined` are forwarded. */
  answer?: (request: RecordedRequest) => Promise<MadeAnswer | undefined>;
  close: () => void;
}

export async function startRecorder(target: string): Promise<Recorder> {
  const requests: RecordedRequest[] = [];
  const pass = ({ method, path, headers, body }: RecordedRequest, answer: ServerResponse) => {
    request(target + path, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    })
      .on('error', () => answer.destroy())
      .end(body);
  };
  const server: Server = createServer((incoming, answer) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = 'GET', url: path = '/', headers } = incoming;
      const recorded = { method, path, headers, body: Buffer.concat(chunks) };
      requests.push(recorded);
      void Promise.resolve(recorder.answer?.(recorded)).then((made) => {
        if (!made) {
          pass(recorded, answer);
          return;
        }
        const type = { 'content-type': 'application/json' };
        answer.writeHead(made.status ?? 200, { ...type, ...made.headers });
        answer.end(JSON.stringify(made.json));
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const recorder: Recorder = {
    url: `http://127.0.0.1:${String(port)}`,
    requests,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return recorder;
}

/** Extracts the picture from a form sent by a browser. @throws Error if it has none */
export function pictureIn({ body, headers }: RecordedRequest): Buffer {
  const [, boundary = ''] = /boundary=(.+)$/.exec(headers['content-type'] ?? '') ?? [];
  const text = body.toString('latin1');
  const head = text.indexOf('name="file"');
  const start = text.indexOf('\r\n\r\n', head) + 4;
  const end = text.indexOf(`\r\n--${boundary}`, start);
  if (head < 0 || boundary === '' || end < 0) throw new Error('the form holds no picture');
  return body.subarray(start, end);
}
