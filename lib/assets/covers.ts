import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { readWhole } from './read-whole.ts';
import type { Conditions } from './s3.ts';

/** A client's request for a cover. */
export interface CoverRequest extends Conditions {
  /** `HEAD`: no body. */
  head: boolean;
  /** An ETag or a date: the range applies only if the cover still matches it. */
  ifRange?: string | undefined;
}

/** A cover, or a range of it. */
export interface CoverStream {
  status: 200 | 206;
  /** Size of the body, in bytes. */
  length: number;
  etag: string | undefined;
  lastModified: Date | undefined;
  /** `Content-Range`, if it is a range. */
  contentRange: string | undefined;
  /**
   * `undefined` if only the headers were requested. A buffer for a cover of ordinary size; for a large one a stream,
   * which fails if the rest does not arrive.
   */
  body: Buffer | Readable | undefined;
}

/** Covers in a store other than the local file system. */
export interface RemoteCovers {
  readonly kind: 'remote';
  /**
   * @returns `not_modified` if the client's copy is current, `null` if there is no such cover
   * @throws AppError `range_not_satisfiable`, `precondition_failed` or `storage_unavailable`
   */
  open(albumId: number, request: CoverRequest): Promise<CoverStream | 'not_modified' | null>;
  /** A URL that gives access to the cover without credentials, for this many seconds. */
  signedUrl(albumId: number, seconds: number): Promise<string>;
}

/** In a local folder, Express can serve covers itself. */
export type Covers = { readonly kind: 'folder'; readonly dir: string } | RemoteCovers;

/** The fields of an album that identify its cover. */
export interface CoverOwner {
  /** `local_id` */
  readonly id: number;
  /** The file name in the metadata, if any. */
  readonly filename: string | null;
}

/** Standard file name of an album's cover: in S3, on the Hub, behind a CDN and in a pulled set. */
export const coverName = (albumId: number): string => `album_${String(albumId)}.jpg`;

export const isCoverName = (name: string): boolean => /^album_\d+\.jpg$/.test(name);

/** Whether a file name from the metadata is that of a picture in or below the folder, and not hidden. */
const isInside = (name: string): boolean =>
  /\.(jpe?g|png|webp|gif|avif|hei[cf]|jxl|tiff?|bmp)$/i.test(name) &&
  !/[\\\0]/.test(name) &&
  name.split('/').every((part) => part !== '' && !part.startsWith('.'));

/** Possible names of an album's cover in a local folder: first the metadata's, then the standard one. */
export const coverNames = ({ id, filename }: CoverOwner): string[] => {
  const own = coverName(id);
  return filename !== null && filename !== own && isInside(filename) ? [filename, own] : [own];
};

/** The name of an album's cover in a local folder, `null` if it has none. */
export async function coverFileIn(dir: string, album: CoverOwner): Promise<string | null> {
  for (const name of coverNames(album))
    if ((await stat(join(dir, name)).catch(() => null))?.isDirectory() === false) return name;
  return null;
}

/** A cover that is read completely, on demand. */
export interface CoverSource {
  /** Identifies this version of the cover; letters, digits and dashes. */
  version: string;
  /** @throws AppError `storage_unavailable`; the file system's error if the cover has just been deleted */
  read: () => Promise<Buffer>;
}

/** @returns `null` if there is no such cover @throws AppError `storage_unavailable` */
export async function findCover(covers: Covers, album: CoverOwner): Promise<CoverSource | null> {
  if (covers.kind === 'folder') {
    const file = await coverFileIn(covers.dir, album);
    if (file === null) return null;
    const path = join(covers.dir, file);
    const found = await stat(path);
    const version = `${Math.trunc(found.mtimeMs).toString(36)}-${found.size.toString(36)}`;
    return { version, read: () => readFile(path) };
  }
  const found = await covers.open(album.id, { head: true });
  if (found === null || found === 'not_modified') return null;
  return {
    version: (found.etag ?? '').replace(/[^\w-]/g, ''),
    read: async () => {
      const cover = await covers.open(album.id, { head: false });
      if (cover === null || cover === 'not_modified' || !cover.body)
        throw new Error('the cover has gone');
      return Buffer.isBuffer(cover.body) ? cover.body : readWhole(cover.body, cover.length);
    },
  };
}
