import pLimit from 'p-limit';
import { AppError } from '../../lib/errors.ts';
import { mapInOrder } from '../map-in-order.ts';
import { S3Folder } from '../../lib/assets/s3.ts';
import { hashOf } from './content-hash.ts';
import type { Remote, RemoteFile, RemoteStream, LocalFile } from './remote.ts';
import { remotePaths } from './set-layout.ts';

/** `Cache-Control` for a CDN that serves covers from the bucket: as long as the service's own. */
const coverCaching = 'public, max-age=86400';

interface S3Object {
  name: string;
  size: number;
  md5: string | undefined;
}

/** Objects written or queried at a time. */
const atATime = 8;

/** A prefix in S3, laid out as `ASSETS_URI` expects it. */
export class S3Remote implements Remote {
  readonly name: string;
  readonly #folder: S3Folder;

  constructor(uri: string, options: { pathStyle: boolean }) {
    this.name = uri;
    this.#folder = S3Folder.open(uri, options);
  }

  async *list(signal?: AbortSignal): AsyncGenerator<RemoteFile> {
    const objects: S3Object[] = [];
    for await (const object of this.#folder.all()) {
      signal?.throwIfAborted();
      objects.push(object);
    }
    const trusted = await this.#tagsAreSums(objects);
    yield* mapInOrder(objects, atATime, async ({ name, size, md5 }): Promise<RemoteFile> => {
      signal?.throwIfAborted();
      if (trusted && md5 !== undefined)
        return { path: name, size, hash: { algorithm: 'md5', value: md5 } };
      const sha256 = (await this.#folder.info(name))?.sha256;
      const hash =
        sha256 === undefined ? undefined : { algorithm: 'sha256' as const, value: sha256 };
      return { path: name, size, hash };
    });
  }

  /** Whether ETags are MD5 sums here: with KMS keys they only look like it. One object is enough to find out. */
  async #tagsAreSums(objects: readonly S3Object[]): Promise<boolean> {
    const example = objects.find(({ md5 }) => md5 !== undefined);
    return example !== undefined && (await this.#folder.info(example.name))?.md5 !== undefined;
  }

  async read(path: string, from: number, signal?: AbortSignal): Promise<RemoteStream> {
    const range = from > 0 ? `bytes=${String(from)}-` : undefined;
    const found = await this.#folder.open(path, { range, signal });
    if (found === null || found === 'not_modified')
      throw new AppError('assets_missing', `${this.#folder.uri(path)} is missing.`);
    return { from: found.ContentRange === undefined ? 0 : from, body: found.Body };
  }

  async *write(
    change: { files: readonly LocalFile[]; remove: readonly string[] },
    signal?: AbortSignal,
  ): AsyncGenerator<string> {
    const limit = pLimit(atATime);
    await Promise.all(change.remove.map((path) => limit(() => this.#folder.delete(path))));
    const put = async ({ path, localPath }: LocalFile) => {
      signal?.throwIfAborted();
      await this.#folder.put(path, localPath, {
        type: contentTypeOf(path),
        cacheControl: remotePaths.isCover(path) ? coverCaching : undefined,
        sha256: await hashOf(localPath, 'sha256'),
        signal,
      });
      return path;
    };
    try {
      yield* mapInOrder(change.files.slice(0, -1), atATime, put);
      yield* mapInOrder(change.files.slice(-1), 1, put);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }
}

const contentTypeOf = (path: string): string => {
  if (path.endsWith('.jpg')) return 'image/jpeg';
  return path.endsWith('.json') ? 'application/json' : 'application/octet-stream';
};
