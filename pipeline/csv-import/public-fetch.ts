import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector, Agent, request, type Dispatcher } from 'undici';

/** Timeout for a connection, for a response's headers and between its bytes, in milliseconds. */
const timeoutMs = 15_000;

/** Most redirects followed. */
const maxRedirects = 5;

/** Why a file could not be fetched. `retry`: whether a retry may help; `retryAfter`: the server's, in seconds. */
export class FetchError extends Error {
  readonly retry: boolean;
  readonly retryAfter: number | undefined;

  constructor(message: string, options: { retry: boolean; retryAfter?: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'FetchError';
    this.retry = options.retry;
    this.retryAfter = options.retryAfter;
  }
}

/** @returns `null` if it is no URL. (`URL.canParse` accepts some that the constructor rejects.) */
export function parseUrl(text: string, base?: URL): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}

/** Whether an address is on the public internet: not on this machine or its network, nor in a reserved range. */
export const isPublicAddress = (address: string): boolean =>
  ipaddr.process(address).range() === 'unicast';

/** Connects only to public addresses. A name's address is checked when connecting, not before: DNS may change. */
function publicAgent(): Agent {
  const connect = buildConnector({
    timeout: timeoutMs,
    lookup: (host, options, callback) => {
      lookup(host, { ...options, all: true }, (error, addresses) => {
        if (error) {
          callback(error, '', 0);
          return;
        }
        const refused = addresses.find(({ address }) => !isPublicAddress(address));
        const [first] = addresses;
        if (refused || !first) callback(privateAddress(host), '', 0);
        else if (options.all) (callback as unknown as AllCallback)(null, addresses);
        else callback(null, first.address, first.family);
      });
    },
  });
  return new Agent({ connect, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
}

type AllCallback = (error: null, addresses: { address: string; family: number }[]) => void;

const privateAddress = (host: string): Error & { code: string } =>
  Object.assign(new Error(`${host} is a private address`), { code: 'PRIVATE_ADDRESS' });

/** Fetches files from the web, and from private addresses only if they are allowed. */
export class PublicFetcher {
  readonly #dispatcher: Dispatcher;
  readonly #allowPrivate: boolean;

  /** @param options.allowPrivate for tests and for private servers */
  constructor({ allowPrivate }: { allowPrivate: boolean }) {
    this.#allowPrivate = allowPrivate;
    this.#dispatcher = allowPrivate
      ? new Agent({ headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
      : publicAgent();
  }

  /**
   * @param maxBytes largest file, in bytes
   * @throws FetchError
   */
  async get(url: string, maxBytes: number): Promise<Buffer> {
    let at = new URL(url);
    for (let hop = 0; hop <= maxRedirects; hop += 1) {
      const answer = await this.#ask(at);
      const { location } = answer.headers;
      if (answer.statusCode >= 300 && answer.statusCode < 400 && typeof location === 'string') {
        answer.body.on('error', () => undefined).destroy();
        const to = parseUrl(location, at);
        if (!to)
          throw new FetchError(`it redirects to ${JSON.stringify(location)}, which is not a URL`, {
            retry: false,
          });
        at = to;
        if (!['http:', 'https:'].includes(at.protocol))
          throw new FetchError(`it redirects to ${at.protocol}//`, { retry: false });
        continue;
      }
      return readBody(answer, maxBytes);
    }
    throw new FetchError(`it was redirected ${String(maxRedirects)} times`, { retry: false });
  }

  close(): Promise<void> {
    return this.#dispatcher.close();
  }

  async #ask(url: URL): Promise<Dispatcher.ResponseData> {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (!this.#allowPrivate && isIP(host) !== 0 && !isPublicAddress(host))
      throw new FetchError(`${host} is a private address`, { retry: false });
    try {
      return await request(url, {
        dispatcher: this.#dispatcher,
        headers: { 'user-agent': 'shazam-visual (cover import)', accept: 'image/*' },
      });
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      const message = error instanceof Error ? error.message : 'unknown error';
      const permanent = ['PRIVATE_ADDRESS', 'ENOTFOUND', 'ERR_TLS_CERT_ALTNAME_INVALID'];
      throw new FetchError(message || code, { retry: !permanent.includes(code), cause: error });
    }
  }
}

async function readBody(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  maxBytes: number,
): Promise<Buffer> {
  const giveUp = (error: FetchError) => {
    body.on('error', () => undefined).destroy();
    return error;
  };
  if (statusCode !== 200) {
    const wait = Number(headers['retry-after']);
    throw giveUp(
      new FetchError(`the server answers ${String(statusCode)}`, {
        retry: statusCode === 408 || statusCode === 429 || statusCode >= 500,
        ...(Number.isFinite(wait) && { retryAfter: wait }),
      }),
    );
  }
  const expected = Number(headers['content-length'] ?? NaN);
  const tooLarge = () =>
    giveUp(new FetchError(`it is larger than ${String(maxBytes / 1e6)} MB`, { retry: false }));
  if (expected > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof FetchError) throw error;
    throw new FetchError('the transfer was interrupted', { retry: true, cause: error });
  }
  if (Number.isFinite(expected) && size !== expected)
    throw new FetchError(`received ${String(size)} of ${String(expected)} bytes`, { retry: true });
  return Buffer.concat(chunks);
}
