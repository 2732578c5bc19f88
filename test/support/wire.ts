import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection on which a test writes HTTP byte by byte. */
export interface Wire {
  socket: Socket;
  write: (data: string | Buffer) => void;
  /** What has come back up to now. */
  received: () => string;
  /** Resolves when what has come back fits; rejects after the time given, in milliseconds. */
  until: (pattern: RegExp, ms?: number) => Promise<string>;
}

export async function openWire(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined); // a server may cut a connection off; tests look at what came before
  return {
    socket,
    write: (data) => void socket.write(data),
    received: () => text,
    until: (pattern, ms = 5000) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!pattern.test(text)) return;
          clearTimeout(timer);
          socket.off('data', look);
          resolve(text);
        };
        const timer = setTimeout(() => {
          reject(
            new Error(`expected ${String(pattern)} within ${String(ms)} ms but received: ${text}`),
          );
        }, ms);
        socket.on('data', look);
        look();
      }),
  };
}

export const boundary = 'wire-boundary';

/** The head of an upload. Without a length it is sent in chunks (`Transfer-Encoding: chunked`). */
export const uploadHead = (length?: number, path = '/api/search-by-image'): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\n` +
  (length === undefined
    ? 'Transfer-Encoding: chunked\r\n\r\n'
    : `Content-Length: ${String(length)}\r\n\r\n`);

/** The start of the form, up to the file's first byte. */
export const fileHead = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="c.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`;

export const formEnd = `\r\n--${boundary}--\r\n`;

/** A chunk of a chunked body. */
export const chunk = (data: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);
