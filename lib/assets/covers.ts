import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { readWhole } from './read-whole.ts';

/** What a client asks of a cover, as its HTTP headers say it. */
export interface CoverRequest {
  /** `HEAD`: no body is wanted. */
  head: boolean;
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
  ifModifiedSince?: string | undefined;
  ifUnmodifiedSince?: string | undefined;
  range?: string | undefined;
  /** The range counts only where the cover is still this one (an ETag) or as old as that (a date). */
  ifRange?: string | undefined;
}

/** A cover, or a part of it, on its way. */
export interface CoverStream {
  status: 200 | 206;
  /** Bytes of the body. */
  length: number;
  etag: string | undefined;
  lastModified: Date | undefined;
  /** `Content-Range` where it is a part. */
  contentRange: string | undefined;
  /**
   * `undefined` where only the headers were asked for. A cover of ordinary size has come whole; a large one is
   * a stream, which fails where the rest does not come.
   */
  body: Buffer | Readable | undefined;
}

/** A cover in a store that is not this machine's file system. */
export interface RemoteCovers {
  readonly kind: 'remote';
  /**
   * @returns `not_modified` where the client's copy is current, `null` where there is no such cover
   * @throws AppError `range_not_satisfiable`, `precondition_failed` or `storage_unavailable`
   */
  open(albumId: number, request: CoverRequest): Promise<CoverStream | 'not_modified' | null>;
  /** A URL from which the cover can be had without rights of one's own, for so many seconds. */
  signedUrl(albumId: number, seconds: number): Promise<string>;
}

/** Covers in a folder, which Express serves itself. */
export interface LocalCovers {
  readonly kind: 'folder';
  readonly dir: string;
}

export type Covers = LocalCovers | RemoteCovers;

/** An album, as far as its cover goes. */
export interface CoverOwner {
  /** `local_id` */
  readonly id: number;
  /** What the list calls the file, if it does. */
  readonly filename: string | null;
}

/** The file of an album's cover at every place of ours: in S3, on the Hub, behind a CDN, in a set that was pulled. */
export const coverName = (albumId: number): string => `album_${String(albumId)}.jpg`;

export const isCoverName = (name: string): boolean => /^album_\d+\.jpg$/.test(name);

/** Whether a list's name for a file is that of a picture in the folder or below it, and not a hidden one. */
const isInside = (name: string): boolean =>
  /\.(jpe?g|png|webp|gif|avif|hei[cf]|jxl|tiff?|bmp)$/i.test(name) &&
  !/[\\\0]/.test(name) &&
  name.split('/').every((part) => part !== '' && !part.startsWith('.'));

/** The names that a local folder may have an album's cover under: the list's, then ours. */
export const coverNames = ({ id, filename }: CoverOwner): string[] => {
  const own = coverName(id);
  return filename !== null && filename !== own && isInside(filename) ? [filename, own] : [own];
};

/** The name that a local folder has an album's cover under, `null` where it has none. */
export async function coverFileIn(dir: string, album: CoverOwner): Promise<string | null> {
  for (const name of coverNames(album))
    if ((await stat(join(dir, name)).catch(() => null))?.isDirectory() === false) return name;
  return null;
}

/** A cover to be read whole, when and if it is needed. */
export interface CoverSource {
  /** Names this very version of the cover; letters, digits and dashes. */
  version: string;
  /** @throws AppError `storage_unavailable`; the file system's error where the cover has just gone */
  read: () => Promise<Buffer>;
}

/** @returns `null` where there is no such cover @throws AppError `storage_unavailable` */
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
