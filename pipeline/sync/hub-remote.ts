import { pathToFileURL } from 'node:url';
import {
  commitIter,
  HubApiError,
  listCommits,
  listFiles,
  type CommitOperation,
  type RepoType,
} from '@huggingface/hub';
import { AppError } from '../../lib/errors.ts';
import type { Remote, RemoteFile, RemoteStream, LocalFile } from './remote.ts';
import { retryingFetch } from './retrying-fetch.ts';
import { reasonOf } from './reason.ts';

export interface HubOptions {
  /** No trailing slash, e.g. `https://huggingface.co`. */
  endpoint: string;
  /** `undefined`: only public repositories can be read, and nothing written. */
  token: string | undefined;
}

/** Files per commit: an interruption loses no more than these. */
const filesInCommit = 200;

/** A repository on the Hugging Face Hub. The only user of its client library. */
export class HubRemote implements Remote {
  readonly name: string;
  readonly #repo: { type: RepoType; name: string };
  readonly #revision: string;
  readonly #options: HubOptions;
  readonly #fetch: typeof fetch;
  /** The listed commit: files are read from the same one, whatever is pushed meanwhile. */
  #commit: string | undefined;

  /**
   * @param revision a branch, a tag or a commit
   * @param attempts most attempts per request
   */
  constructor(
    repo: { type: 'model' | 'dataset' | 'space'; name: string },
    revision: string,
    options: HubOptions,
    attempts: number,
  ) {
    this.#repo = repo;
    this.#revision = revision;
    this.#options = options;
    this.#fetch = retryingFetch(attempts);
    this.name = `${repo.type} ${repo.name} (${revision}) on the Hub`;
  }

  async *list(signal?: AbortSignal): AsyncGenerator<RemoteFile> {
    try {
      const common = this.#common(signal);
      const listing = { ...common, fetch: forListing(common.fetch) };
      const commits = listCommits({
        ...listing,
        revision: this.#inUrl,
        batchSize: 1,
      });
      const newest = await commits.next();
      if (newest.done !== true) this.#commit = newest.value.oid;
      for await (const { type, path, size, oid, lfs } of listFiles({
        ...listing,
        revision: this.#inUrl,
        recursive: true,
      })) {
        if (type === 'file')
          yield {
            path,
            size: lfs?.size ?? size,
            hash: lfs
              ? { algorithm: 'sha256', value: lfs.oid }
              : oid === undefined
                ? undefined
                : { algorithm: 'git', value: oid },
          };
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#unavailable('list', error);
    }
  }

  async read(path: string, from: number, signal?: AbortSignal): Promise<RemoteStream> {
    const { endpoint, token } = this.#options;
    const folder = this.#repo.type === 'model' ? '' : `${this.#repo.type}s/`;
    const name = path.split('/').map(encodeURIComponent).join('/');
    const url = `${endpoint}/${folder}${this.#repo.name}/resolve/${this.#inUrl}/${name}`;
    // Request it from the Hub each time: the link that it redirects to expires.
    const response = await this.#fetch(url, {
      headers: {
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(from > 0 && { Range: `bytes=${String(from)}-` }),
      },
      ...(signal && { signal }),
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw this.#unavailable(`fetch ${path} from`, error); // retries are exhausted
    });
    if (response.status !== 200 && response.status !== 206) {
      await response.body?.cancel().catch(() => undefined);
      const message = `${path} in ${this.name}: the Hub answers ${String(response.status)}${adviceOn(response.status)}`;
      // An expired link answers 403, and a retry gets a new one. A refusal by the Hub itself is final.
      if (response.redirected) throw new Error(message);
      throw new AppError(
        response.status === 404 ? 'assets_missing' : 'storage_unavailable',
        `${message}.`,
      );
    }
    if (!response.body) throw new Error(`${path}: the Hub sends no body`);
    return { from: response.status === 206 ? from : 0, body: response.body };
  }

  async *write(
    change: { files: readonly LocalFile[]; remove: readonly string[] },
    signal?: AbortSignal,
  ): AsyncGenerator<string> {
    const operations: CommitOperation[] = [
      ...change.remove.map((path) => ({ operation: 'delete', path }) as const),
      ...change.files.map(
        ({ path, localPath }) =>
          ({ operation: 'addOrUpdate', path, content: pathToFileURL(localPath) }) as const,
      ),
    ];
    for (let from = 0; from < operations.length; from += filesInCommit) {
      const some = operations.slice(from, from + filesInCommit);
      try {
        const commit = commitIter({
          ...this.#common(),
          branch: this.#revision,
          title: `Update the catalog (${String(some.length)} files)`,
          operations: some,
          useXet: false,
          ...(signal && { abortSignal: signal }),
        });
        for (let step = await commit.next(); step.done !== true; step = await commit.next());
      } catch (error) {
        signal?.throwIfAborted();
        throw this.#unavailable('write to', error);
      }
      for (const { operation, path } of some) if (operation === 'addOrUpdate') yield path;
    }
  }

  /** The revision to read, URL-encoded: branch names may contain slashes. */
  get #inUrl(): string {
    return encodeURIComponent(this.#commit ?? this.#revision);
  }

  #common(signal?: AbortSignal) {
    const { endpoint, token } = this.#options;
    const abortable: typeof fetch = (input, init) =>
      this.#fetch(input, { ...(signal && { signal }), ...init });
    return {
      repo: this.#repo,
      hubUrl: endpoint,
      fetch: abortable,
      ...(token !== undefined && { accessToken: token }),
    };
  }

  #unavailable(what: string, cause: unknown): AppError {
    const status = cause instanceof HubApiError ? cause.statusCode : undefined;
    const reason =
      status === undefined
        ? `${reasonOf(cause)} (${this.#options.endpoint})`
        : `it answers ${String(status)}${adviceOn(status)}`;
    return new AppError(
      status === 404 ? 'assets_missing' : 'storage_unavailable',
      `Could not ${what} ${this.name}: ${reason}.`,
      { cause },
    );
  }
}

/** Largest page of a listing, in bytes: a thousand files take some 400 KB. */
const maxPageBytes = 16 * 2 ** 20;

/** A `fetch` for one listing that guards against endless ones: it fails on a repeated page and on an oversized page. */
function forListing(send: typeof fetch): typeof fetch {
  const asked = new Set<string>();
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (asked.has(url)) throw new Error('its listing repeats and never ends');
    asked.add(url);
    const response = await send(input, init);
    let size = 0;
    const limit = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        size += chunk.length;
        if (size > maxPageBytes) controller.error(new Error('its listing does not end'));
        else controller.enqueue(chunk);
      },
    });
    return new Response(response.body?.pipeThrough(limit) ?? null, response);
  };
}

const adviceOn = (status: number): string => {
  if (status === 401 || status === 403) return ' (HF_TOKEN must have permission for this)';
  if (status === 404) return ' (it does not exist, or requires a token with access)';
  return '';
};
