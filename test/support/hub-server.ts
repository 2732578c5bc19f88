import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';

/** A fault injected into one request. */
export type HubFault =
  /** Half of the body, then the connection is reset. */
  | 'break'
  /** The connection is reset before a response. */
  | 'reset'
  /** 429 with `Retry-After: 1`. */
  | 'throttle'
  /** 429 as the Hub itself sends it: `ratelimit` gives the time until the next five-minute window. */
  | 'limit'
  /** The whole body, with one byte changed. */
  | 'lie'
  /** The link to the storage has expired: it responds with 403. */
  | 'expired'
  /** Status 500. */
  | 'fail';

export interface HubRequest {
  /** The Hub's endpoint; `storage` is the target of its redirects. */
  kind:
    | 'commits'
    | 'tree'
    | 'resolve'
    | 'storage'
    | 'preupload'
    | 'batch'
    | 'upload'
    | 'verify'
    | 'commit';
  /** The requested file or repository. */
  about: string;
  method: string;
  range: string | undefined;
}

export interface HubServer {
  endpoint: string;
  /** Files of each repository, e.g. `datasets/me/covers`, `spaces/me/app`, `models/x/clip`. */
  repos: Map<string, Map<string, Buffer>>;
  /** Repositories that can only be read with the token. */
  hidden: Set<string>;
  /** Chooses the fault for a request; `nth` counts requests of the same kind about the same file, from 0. */
  plan: (request: HubRequest, nth: number) => HubFault | undefined;
  /** Resolves when the client has stored this many bytes of a file; the fault `break` waits for it. */
  taken: (about: string, bytes: number) => Promise<void>;
  asked: HubRequest[];
  /** Maximum number of concurrent requests. */
  mostOpen: number;
  /** The files of each commit, in order. */
  commits: string[][];
  reset: () => void;
  stop: () => Promise<void>;
}

/** The token with write access. */
export const hubToken = 'hf_of_the_tests';

/** Files per page of a listing. */
const pageSize = 25;

const isLarge = (path: string) => /\.(jpg|index|onnx)$/.test(path);

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const gitBlob = (bytes: Buffer) =>
  createHash('sha1')
    .update(`blob ${String(bytes.length)}\0`)
    .update(bytes)
    .digest('hex');

/** Starts a fake Hugging Face Hub with the endpoints in use; the formats follow its client library. */
export async function startHubServer(): Promise<HubServer> {
  const healthy = () => undefined;
  /** Uploaded contents by SHA-256; a commit adds them to a repository. */
  const stored = new Map<string, Buffer>();
  const times = new Map<string, number>();
  let open = 0;
  const hub: HubServer = {
    endpoint: '',
    repos: new Map(),
    hidden: new Set(),
    plan: healthy,
    taken: () => Promise.resolve(),
    asked: [],
    mostOpen: 0,
    commits: [],
    reset: () => {
      hub.repos.clear();
      hub.hidden.clear();
      hub.plan = healthy;
      hub.asked = [];
      hub.mostOpen = 0;
      hub.commits = [];
      stored.clear();
      times.clear();
    },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  const server = createServer((request, response) => {
    open += 1;
    hub.mostOpen = Math.max(hub.mostOpen, open);
    response.once('close', () => (open -= 1));
    answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', hub.endpoint);
    const path = decodeURIComponent(url.pathname);
    const route = routes.find(({ pattern }) => pattern.test(path));
    const found = route?.pattern.exec(path)?.groups ?? {};
    if (!route) {
      response.writeHead(404).end();
      return;
    }
    const { name = '', file = '', rest = '', kind: type } = found;
    const repo = `${type ?? 'models'}/${name}`;
    const asked: HubRequest = {
      kind: route.kind,
      about: file || rest || repo,
      method: request.method ?? '',
      range: request.headers.range,
    };
    hub.asked.push(asked);
    const key = `${asked.kind} ${asked.about}`;
    const nth = times.get(key) ?? 0;
    times.set(key, nth + 1);
    const fault = hub.plan(asked, nth);
    await sleep(5); // simulates network latency
    if (fault === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (fault === 'throttle' || fault === 'limit' || fault === 'fail') {
      request.resume();
      const says = {
        throttle: { 'Retry-After': '1' },
        limit: { ratelimit: '"resolvers";r=0;t=1' },
        fail: {},
      };
      response.writeHead(fault === 'fail' ? 500 : 429, says[fault]).end();
      return;
    }
    const may = request.headers.authorization === `Bearer ${hubToken}`;
    const ownLink = ['storage', 'upload'].includes(route.kind); // a signed link, which needs no token
    if (!ownLink && hub.hidden.has(repo) && !may) {
      response.writeHead(401).end();
      return;
    }
    if (['preupload', 'batch', 'commit'].includes(route.kind) && !may) {
      request.resume();
      response.writeHead(403).end();
      return;
    }
    await route.act({ request, response, url, repo, file, rest, fault });
  };

  interface Action {
    request: IncomingMessage;
    response: ServerResponse;
    url: URL;
    repo: string;
    file: string;
    rest: string;
    fault: HubFault | undefined;
  }

  const filesOf = ({ repo, response }: Action) => {
    const files = hub.repos.get(repo);
    if (!files) response.writeHead(404).end();
    return files;
  };
  const json = (response: ServerResponse, value: unknown, headers: Record<string, string> = {}) => {
    response.writeHead(200, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
  };
  const readJson = async (request: IncomingMessage) =>
    JSON.parse((await buffer(request)).toString()) as Record<string, unknown>;

  /** Sends a file or a range of it, with the planned fault. */
  const give = (action: Action, bytes: Buffer, etag: string) => {
    const { request, response, fault } = action;
    const [, begin] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    const from = Number(begin ?? 0);
    if (from > 0 && from >= bytes.length) {
      response.writeHead(416).end();
      return;
    }
    const body = Buffer.from(bytes.subarray(from));
    if (fault === 'lie') body[0] = (body[0] ?? 0) ^ 1;
    response.writeHead(begin === undefined ? 200 : 206, {
      'Content-Length': body.length,
      ETag: `"${etag}"`,
      'Accept-Ranges': 'bytes',
      ...(begin !== undefined && {
        'Content-Range': `bytes ${begin}-${String(bytes.length - 1)}/${String(bytes.length)}`,
      }),
    });
    if (fault !== 'break') {
      response.end(body);
      return;
    }
    response.write(body.subarray(0, body.length >> 1), () => {
      void hub
        .taken(action.file || action.rest, from + (body.length >> 1))
        .then(() => request.socket.resetAndDestroy());
    });
  };

  const repoPart = String.raw`(?<kind>datasets|spaces|models)/(?<name>[^/]+/[^/]+)`;
  const gitPart = String.raw`(?:(?<kind>datasets|spaces)/)?(?<name>[^/]+/[^/]+)`;
  const routes: { kind: HubRequest['kind']; pattern: RegExp; act: (a: Action) => unknown }[] = [
    {
      kind: 'commits',
      pattern: new RegExp(`^/api/${repoPart}/commits/(?<rest>.+)$`),
      act: (action) => {
        if (!filesOf(action)) return;
        const date = new Date(0).toISOString();
        json(action.response, [{ id: 'c0ffee', title: '', message: '', authors: [], date }]);
      },
    },
    {
      kind: 'tree',
      pattern: new RegExp(`^/api/${repoPart}/tree/(?<rest>.+)$`),
      act: (action) => {
        const files = filesOf(action);
        if (!files) return;
        const { response, url } = action;
        const from = Number(url.searchParams.get('cursor') ?? 0);
        const next = new URL(url);
        next.searchParams.set('cursor', String(from + pageSize));
        const entries = [...files].slice(from, from + pageSize).map(([path, bytes]) =>
          isLarge(path)
            ? {
                type: 'file',
                path,
                size: bytes.length,
                oid: gitBlob(Buffer.from(`pointer to ${sha256(bytes)}`)),
                lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 },
              }
            : { type: 'file', path, size: bytes.length, oid: gitBlob(bytes) },
        );
        const folder = { type: 'directory', path: 'images', size: 0, oid: 'f'.repeat(40) };
        json(
          response,
          [folder, ...entries],
          from + pageSize < files.size ? { Link: `<${next.href}>; rel="next"` } : {},
        );
      },
    },
    {
      kind: 'resolve',
      pattern: new RegExp(`^/${gitPart}/resolve/[^/]+/(?<file>.+)$`),
      act: (action) => {
        const files = filesOf(action);
        const bytes = files?.get(action.file);
        if (!bytes) {
          if (files) action.response.writeHead(404).end();
          return;
        }
        if (!isLarge(action.file)) {
          give(action, bytes, gitBlob(bytes));
          return;
        }
        const oid = sha256(bytes);
        stored.set(oid, bytes);
        const good = action.fault === 'expired' ? 'no' : 'yes';
        action.response
          .writeHead(302, {
            Location: `${hub.endpoint}/storage/${action.file}?oid=${oid}&good=${good}`,
            'X-Linked-Etag': `"${oid}"`,
            'X-Linked-Size': bytes.length,
          })
          .end();
      },
    },
    {
      kind: 'storage',
      pattern: /^\/storage\/(?<file>.+)$/,
      act: (action) => {
        const oid = action.url.searchParams.get('oid') ?? '';
        const bytes = stored.get(oid);
        if (action.url.searchParams.get('good') === 'yes' && bytes) give(action, bytes, oid);
        else action.response.writeHead(403).end();
      },
    },
    {
      kind: 'preupload',
      pattern: new RegExp(`^/api/${repoPart}/preupload/(?<rest>.+)$`),
      act: async (action) => {
        const { files } = (await readJson(action.request)) as { files: { path: string }[] };
        if (!filesOf(action)) return;
        json(action.response, {
          files: files.map(({ path }) => ({ path, uploadMode: isLarge(path) ? 'lfs' : 'regular' })),
        });
      },
    },
    {
      kind: 'batch',
      pattern: new RegExp(`^/${gitPart}\\.git/info/lfs/objects/batch$`),
      act: async ({ request, response }) => {
        const { objects } = (await readJson(request)) as {
          objects: { oid: string; size: number }[];
        };
        json(response, {
          transfer: 'basic',
          objects: objects.map(({ oid, size }) => ({
            oid,
            size,
            ...(!stored.has(oid) && {
              actions: {
                upload: { href: `${hub.endpoint}/upload/${oid}` },
                verify: { href: `${hub.endpoint}/verify/${oid}` },
              },
            }),
          })),
        });
      },
    },
    {
      kind: 'upload',
      pattern: /^\/upload\/(?<rest>\w+)$/,
      act: async ({ request, response, rest }) => {
        const bytes = await buffer(request);
        if (sha256(bytes) === rest) stored.set(rest, bytes);
        response.writeHead(sha256(bytes) === rest ? 200 : 400).end();
      },
    },
    {
      kind: 'verify',
      pattern: /^\/verify\/(?<rest>\w+)$/,
      act: async ({ request, response, rest }) => {
        await buffer(request);
        response.writeHead(stored.has(rest) ? 200 : 404).end();
      },
    },
    {
      kind: 'commit',
      pattern: new RegExp(`^/api/${repoPart}/commit/(?<rest>.+)$`),
      act: async (action) => {
        const lines = (await buffer(action.request)).toString().split('\n').filter(Boolean);
        const files = filesOf(action);
        if (!files) return;
        const paths: string[] = [];
        for (const line of lines) {
          const { key, value } = JSON.parse(line) as {
            key: string;
            value: { path: string; content?: string; oid?: string };
          };
          if (key === 'header') continue;
          paths.push(value.path);
          if (key === 'deletedFile') files.delete(value.path);
          else if (key === 'file')
            files.set(value.path, Buffer.from(value.content ?? '', 'base64'));
          else {
            const bytes = stored.get(value.oid ?? '');
            if (!bytes) throw new Error(`${value.path} was not uploaded`);
            files.set(value.path, bytes);
          }
        }
        hub.commits.push(paths);
        json(action.response, { commitOid: 'c0ffee', commitUrl: 'x', hookOutput: '' });
      },
    },
  ];
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  hub.endpoint = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return hub;
}
