import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAppError } from '../../lib/errors.ts';
import { HubRemote } from '../../pipeline/sync/hub-remote.ts';
import { revalidateCopy } from '../../lib/assets/download.ts';
import { S3Folder } from '../../lib/assets/s3.ts';
import { Uploads } from '../../lib/assets/uploads.ts';
import { hostileTexts, jsonTokens, tryAll } from './hostile.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Runs a server whose response can be changed between requests. */
async function withServer<T>(
  use: (endpoint: string, answerBy: (answer: Answer) => void) => Promise<T>,
): Promise<T> {
  let answer: Answer = (_request, response) => response.end();
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await use(`http://127.0.0.1:${String(port)}`, (another) => (answer = another));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** An endless body, slow enough for a test that reads it. */
const endless =
  (status: number): Answer =>
  (request, response) => {
    response.writeHead(status);
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const timer = setInterval(() => response.write(Buffer.alloc(65_536)), 10);
    response.once('close', () => {
      clearInterval(timer);
    });
  };

/** The characters of a text that are valid in a header. */
const asHeader = (text: string): string => text.replace(/[^ -~]/g, '').slice(0, 4000);

/** Responds with the text as the body and in every header that clients read. */
const saying =
  (status: number, text: string): Answer =>
  (request, response) => {
    const header = asHeader(text);
    for (const name of ['Link', 'ratelimit', 'Content-Range', 'Location', 'ETag', 'Last-Modified'])
      response.setHeader(name, header);
    response.writeHead(status).end(request.method === 'HEAD' ? undefined : text);
  };

const hubOf = (endpoint: string) =>
  new HubRemote({ type: 'dataset', name: 'me/covers' }, 'main', { endpoint, token: undefined }, 1);

/** Reads up to 100 items. */
async function drain(items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  for (let left = 100; left > 0; left -= 1) if ((await iterator.next()).done === true) return;
  await iterator.return?.();
}

/** Tests the Hub client against a hostile server. */
export const hub = (seed: number) =>
  withServer((endpoint, answerBy) => {
    const tokens = [
      ...jsonTokens,
      ...[
        '<http://',
        '<',
        '>',
        '; rel="next"',
        ';',
        ',',
        '=',
        '"',
        ' ',
        't=',
        '9',
        'bytes ',
        '/',
        '-',
      ],
      '{"type":"file","path":"models/a","size":',
    ];
    const pages: Answer = (request, response) => {
      response.setHeader('Link', `<${endpoint}${request.url ?? ''}>; rel="next"`);
      response.end('[]');
    };
    const answers = [
      pages,
      endless(200),
      endless(404),
      endless(500),
      ...hostileTexts(tokens, seed, 8192).flatMap((text) =>
        [200, 206, 302, 404].map((status) => saying(status, text)),
      ),
    ];
    // any error is accepted, e.g. Node's `fetch` rejecting invalid HTTP; contents are verified where they are stored
    return tryAll(
      answers,
      async (answer) => {
        answerBy(answer);
        const remote = hubOf(endpoint);
        await drain(remote.list()).catch(asAnswer);
        const { body } = await remote.read('models/a', 5);
        await drain(body);
      },
      isError,
    );
  });

const isError = (error: unknown) => error instanceof Error;
const asAnswer = (error: unknown) => {
  if (!isAppError(error)) throw error;
};

/** Tests the S3 client against a hostile server. */
export const s3 = (seed: number) =>
  withServer(async (endpoint, answerBy) => {
    Object.assign(process.env, {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
      AWS_REGION: 'us-east-1',
    });
    const folder = S3Folder.open('s3://bucket/prefix', { pathStyle: true });
    const uploads = new Uploads('s3://bucket/up', { pathStyle: true, maxBytes: 1000 });
    const tokens = [
      ...['<?xml version="1.0"?>', '<ListBucketResult>', '</ListBucketResult>', '<Contents>'],
      ...['</Contents>', '<Key>', '</Key>', '<Size>', '9', '&amp;', '&#x41;', '<!--', '-->'],
      ...['<!DOCTYPE a [', '<!ENTITY a "aaaaaaaaaa">', ']>', '&a;', '<![CDATA[', ']]>', '<', ' '],
    ];
    const pages: Answer = (_request, response) =>
      response.end(
        '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken></ListBucketResult>',
      );
    const large: Answer = (request, response) => {
      if (request.method === 'HEAD')
        response.writeHead(200, { 'Content-Length': Number.MAX_SAFE_INTEGER, ETag: '"a"' }).end();
      else response.writeHead(416).end();
    };
    const answers = [
      pages,
      large,
      endless(200),
      // only a fifth of the texts: interrupted responses are retried with pauses
      ...hostileTexts(tokens, seed, 8192)
        .filter((_text, i) => i % 5 === 0)
        .map((text, i) => saying([200, 206, 403, 404][i % 4] ?? 200, text)),
    ];
    const dir = await mkdtemp(join(tmpdir(), 'hostile-s3-'));
    try {
      return await tryAll(answers, async (answer) => {
        answerBy(answer);
        if (answer !== answers[2]) await drain(folder.all()).catch(asAnswer);
        await revalidateCopy(folder, 'index', join(dir, 'index')).catch(asAnswer);
        await uploads.take('0f8fad5b-d9cb-469f-a165-70867728950e');
      });
    } finally {
      await rm(dir, { recursive: true });
    }
  });
