import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection on which a test writes raw HTTP. */
export interface Wire {
  socket: Socket;
  write: (data: string | Buffer) => void;
  /** Resolves when all written data is flushed: of a large amount, the other side has then read most. */
  flushed: () => Promise<void>;
  /** All data received so far. */
  received: () => string;
  /** Resolves when the received data matches; rejects on a timeout. */
  until: (pattern: RegExp) => Promise<string>;
}

/** Timeout in milliseconds, longer than a busy machine needs: only ends tests that hang. */
const patienceMs = 120_000;

export async function openWire(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined); // a server may reset the connection; tests check the data before that
  return {
    socket,
    write: (data) => void socket.write(data),
    flushed: () =>
      new Promise((resolve) => {
        socket.write('', () => {
          resolve();
        });
      }),
    received: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!pattern.test(text)) return;
          clearTimeout(timer);
          socket.off('data', look);
          resolve(text);
        };
        const timer = setTimeout(() => {
          reject(
            new Error(
              `expected ${String(pattern)} within ${String(patienceMs)} ms but received: ${text}`,
            ),
          );
        }, patienceMs);
        socket.on('data', look);
        look();
      }),
  };
}

export const boundary = 'wire-boundary';

/** The head of an upload; without a length it uses `Transfer-Encoding: chunked`. */
export const uploadHead = (length?: number, path = '/api/search-by-image'): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\n` +
  (length === undefined
    ? 'Transfer-Encoding: chunked\r\n\r\n'
    : `Content-Length: ${String(length)}\r\n\r\n`);

/**
 * Sends the head of an upload and waits until the server accepts the request, then sends the start of the form.
 *
 * @param length length of the whole form in bytes
 */
export async function beginUpload(url: string, length: number): Promise<Wire> {
  const wire = await openWire(url);
  wire.write(uploadHead(length).replace('Host:', 'Expect: 100-continue\r\nHost:'));
  await wire.until(/^HTTP\/1\.1 100 /);
  wire.write(fileHead);
  return wire;
}

/** The start of the form, up to the first byte of the file. */
export const fileHead = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="c.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`;

export const formEnd = `\r\n--${boundary}--\r\n`;

/** A chunk of a chunked body. */
export const chunk = (data: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);
