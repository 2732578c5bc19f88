import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

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

/** The file of an album's cover, in a folder or under a prefix. */
export const coverName = (albumId: number): string => `album_${String(albumId)}.jpg`;

export const isCoverName = (name: string): boolean => /^album_\d+\.jpg$/.test(name);

/** A cover to be read whole, when and if it is needed. */
export interface CoverSource {
  /** Names this very version of the cover; letters, digits and dashes. */
  version: string;
  /** @throws AppError `storage_unavailable`; the file system's error where the cover has just gone */
  read: () => Promise<Buffer>;
}

/** @returns `null` where there is no such cover @throws AppError `storage_unavailable` */
export async function findCover(covers: Covers, albumId: number): Promise<CoverSource | null> {
  if (covers.kind === 'folder') {
    const path = join(covers.dir, coverName(albumId));
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) return null;
    const version = `${Math.trunc(found.mtimeMs).toString(36)}-${found.size.toString(36)}`;
    return { version, read: () => readFile(path) };
  }
  const found = await covers.open(albumId, { head: true });
  if (found === null || found === 'not_modified') return null;
  return {
    version: (found.etag ?? '').replace(/[^\w-]/g, ''),
    read: async () => {
      const cover = await covers.open(albumId, { head: false });
      if (cover === null || cover === 'not_modified' || !cover.body)
        throw new Error('the cover has gone');
      return Buffer.isBuffer(cover.body) ? cover.body : buffer(cover.body);
    },
  };
}
