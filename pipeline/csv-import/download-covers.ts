import { mkdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit, { type LimitFunction } from 'p-limit';
import { coverName } from '../../lib/assets/covers.ts';
import { isAppError } from '../../lib/errors.ts';
import { replaceFile } from '../../lib/filesystem/files.ts';
import { asJpeg } from '../../lib/imaging/raster.ts';
import { withRetries } from '../../lib/concurrency/retry.ts';
import { isWebCover, type CsvAlbum } from './csv-catalog.ts';
import { FetchError, PublicFetcher } from './public-fetch.ts';

export interface DownloadOptions {
  albums: readonly CsvAlbum[];
  /** Folder that paths of covers are relative to and must stay within. */
  besideDir: string;
  imagesDir: string;
  /** Covers fetched from one host at a time. */
  perHost: number;
  /** Covers fetched at a time in all. */
  concurrency: number;
  /** Most attempts per cover. */
  attempts: number;
  allowPrivate: boolean;
  signal?: AbortSignal | undefined;
}

export type DownloadEvent =
  | { type: 'present'; albums: number }
  | { type: 'downloaded'; done: number; total: number }
  | { type: 'failed'; albumId: number; url: string; reason: string };

/** Largest cover, in bytes. */
const maxBytes = 10e6;

/** Longest `Retry-After` that is honoured, in seconds. */
const maxRetryAfter = 60;

/**
 * Fetches the covers that are missing. A cover is put in place once it is complete and has been decoded; other formats
 * are converted to JPEG.
 *
 * @returns ids of the albums whose cover is present
 */
export async function* downloadCovers(
  options: DownloadOptions,
): AsyncGenerator<DownloadEvent, Set<number>> {
  const { albums, imagesDir, signal } = options;
  await mkdir(imagesDir, { recursive: true });
  const there = new Set<number>();
  const wanted: CsvAlbum[] = [];
  for (const album of albums) {
    const found = await stat(join(imagesDir, coverName(album.localId))).catch(() => null);
    if (found?.isFile() && found.size > 0) there.add(album.localId);
    else wanted.push(album);
  }
  if (there.size > 0) yield { type: 'present', albums: there.size };
  const fetcher = new PublicFetcher(options);
  const all = pLimit(options.concurrency);
  const hosts = new Map<string, LimitFunction>();
  const ofHost = (url: string): LimitFunction => {
    const host = isWebCover(url) ? new URL(url).host : 'this machine';
    const limit = hosts.get(host) ?? pLimit(options.perHost);
    hosts.set(host, limit);
    return limit;
  };
  const fetchOne = async (album: CsvAlbum): Promise<DownloadEvent | null> => {
    if (signal?.aborted) return null;
    try {
      const bytes = isWebCover(album.coverUrl)
        ? await fetchCover(fetcher, album.coverUrl, options.attempts)
        : await readCover(options.besideDir, album.coverUrl);
      await replaceFile(join(imagesDir, coverName(album.localId)), bytes);
      there.add(album.localId);
      return null;
    } catch (error) {
      if (!(error instanceof FetchError)) throw error;
      return { type: 'failed', albumId: album.localId, url: album.coverUrl, reason: error.message };
    }
  };
  // The host's queue comes first, so that a slow host does not fill up the shared queue.
  const fetching = wanted.map((album) => ofHost(album.coverUrl)(() => all(() => fetchOne(album))));
  for (const one of fetching) one.catch(() => undefined); // awaited below, in order
  try {
    let done = 0;
    for (const one of fetching) {
      const failed = await one;
      if (failed) yield failed;
      done += 1;
      yield { type: 'downloaded', done, total: wanted.length };
    }
    signal?.throwIfAborted();
    return there;
  } finally {
    await Promise.allSettled(fetching);
    await fetcher.close();
  }
}

/** Reads a local cover. @returns a complete JPEG @throws FetchError */
async function readCover(besideDir: string, path: string): Promise<Buffer> {
  const failed = (why: string, cause?: unknown) => new FetchError(why, { retry: false, cause });
  const inside = relative(resolve(besideDir), resolve(besideDir, path));
  if (inside === '' || inside.startsWith('..') || isAbsolute(inside))
    throw failed('it lies outside the folder of the list');
  let bytes: Buffer;
  try {
    const { size } = await stat(join(besideDir, inside));
    if (size > maxBytes) throw failed(`it is larger than ${String(maxBytes / 1e6)} MB`);
    bytes = await readFile(join(besideDir, inside));
  } catch (error) {
    if (error instanceof FetchError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw failed(
      code === 'ENOENT' ? 'there is no such file' : `it could not be read (${code})`,
      error,
    );
  }
  return pictureOf(bytes);
}

/** @returns a complete JPEG @throws FetchError if it is not a picture */
const pictureOf = (bytes: Buffer): Promise<Buffer> =>
  asJpeg(bytes).catch((error: unknown) => {
    throw isAppError(error)
      ? new FetchError('it is not a picture that can be read', { retry: false, cause: error })
      : error;
  });

/** @returns a complete JPEG @throws FetchError */
const fetchCover = (fetcher: PublicFetcher, url: string, attempts: number): Promise<Buffer> =>
  withRetries(async () => pictureOf(await fetcher.get(url, maxBytes)), {
    attempts,
    retryOn: async (error) => {
      if (!(error instanceof FetchError) || !error.retry) return false;
      const { retryAfter = 0 } = error;
      if (retryAfter > maxRetryAfter) return false;
      await sleep(1000 * retryAfter);
      return true;
    },
  });
