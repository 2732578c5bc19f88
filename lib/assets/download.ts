import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../errors.ts';
import { hashFile, nameBeside, removeStale, replaceFile, writeAt } from '../filesystem/files.ts';
import { withRetries } from '../concurrency/retry.ts';
import { orUnavailable } from './read-whole.ts';
import { isOtherVersion, type ObjectInfo, type S3Folder } from './s3.ts';

/** Size of a range, in bytes. S3 gives each connection about 85 MB/s, so a few in parallel saturate the link. */
const rangeBytes = 8 * 2 ** 20;
const rangesAtATime = 4;

/** Attempts per range if bytes do not arrive, and per file if they are wrong; pauses in milliseconds. */
const rangePolicy = { attempts: 5, pauseMs: 100 };
const filePolicy = { attempts: 3, pauseMs: 100 };

/**
 * Brings the local copy of an object up to date. If there is a complete copy with the object's ETag, nothing is
 * fetched. A new copy is put in place only after its size and checksum have been verified.
 *
 * @param path of the copy; a note that describes it lies beside it (`.json`)
 * @returns whether it was fetched
 * @throws AppError `assets_missing` if there is no such object, `storage_unavailable` if it can't be fetched complete
 *   and intact, or if the disk is full
 */
export async function revalidateCopy(
  folder: S3Folder,
  name: string,
  path: string,
): Promise<boolean> {
  const refresh = async () => {
    const info = await folder.info(name);
    if (info === null) throw new AppError('assets_missing', `${folder.uri(name)} is missing.`);
    if (await isCopyOf(path, info)) return false;
    await replaceCopy(folder, name, path, info);
    return true;
  };
  const refreshed = withRetries(refresh, {
    ...filePolicy,
    // replaced meanwhile, or damaged in transit: start over
    retryOn: (error) => isOtherVersion(error) || error instanceof DamagedError,
  });
  return orUnavailable(
    refreshed,
    (reason) => `${folder.uri(name)} could not be copied here: ${reason}.`,
  );
}

const notePath = (path: string) => `${path}.json`;

/** Describes a copy. Its time in milliseconds distinguishes it from one that was fetched at the same time. */
const noteOf = ({ etag, size }: ObjectInfo, mtimeMs: number) =>
  JSON.stringify({ etag, size, mtimeMs });

async function isCopyOf(path: string, info: ObjectInfo): Promise<boolean> {
  try {
    const { size, mtimeMs } = await stat(path);
    const note = await readFile(notePath(path), 'utf8');
    return size === info.size && note === noteOf(info, mtimeMs);
  } catch {
    return false; // no copy, or an incomplete one
  }
}

async function replaceCopy(
  folder: S3Folder,
  name: string,
  path: string,
  info: ObjectInfo,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  const unfinished = nameBeside(path);
  try {
    const file = await open(unfinished, 'w');
    try {
      await fetchRanges(folder, name, info, file);
      await file.sync();
    } finally {
      await file.close();
    }
    await check(unfinished, info);
    const { mtimeMs } = await stat(unfinished);
    // The old note is deleted first: a copy without a note is fetched again, one with a wrong note would be trusted.
    await rm(notePath(path), { force: true });
    await rename(unfinished, path);
    await replaceFile(notePath(path), noteOf(info, mtimeMs));
  } finally {
    await rm(unfinished, { force: true });
  }
}

function* startsOfRanges(size: number) {
  for (let start = 0; start < size; start += rangeBytes) yield start;
}

async function fetchRanges(
  folder: S3Folder,
  name: string,
  info: ObjectInfo,
  file: FileHandle,
): Promise<void> {
  const starts = startsOfRanges(info.size);
  const work = async () => {
    // A failure ends the generator, and with it the work of the others.
    for (const start of starts) await fetchRange(folder, name, info, file, start);
  };
  // Wait for all of them before the file is closed.
  const outcomes = await Promise.allSettled(Array.from({ length: rangesAtATime }, work));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function fetchRange(
  folder: S3Folder,
  name: string,
  { size, etag }: ObjectInfo,
  file: FileHandle,
  start: number,
): Promise<void> {
  const end = Math.min(start + rangeBytes, size);
  const range = `bytes=${String(start)}-${String(end - 1)}`;
  const attempt = async () => {
    const object = await folder.open(name, { range, ifMatch: etag });
    if (object === null || object === 'not_modified')
      throw new AppError('assets_missing', `${folder.uri(name)} is missing.`);
    let at = start;
    await pipeline(object.Body, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        if (at + chunk.length > end) throw new Error('received more bytes than requested');
        await writeAt(file, chunk, at);
        at += chunk.length;
      }
    });
    if (at !== end)
      throw new Error(`received ${String(at - start)} of ${String(end - start)} bytes`);
  };
  // The SDK retries requests itself, but not a stream that breaks off.
  await withRetries(attempt, rangePolicy);
}

class DamagedError extends Error {}

/** @throws DamagedError if the file differs from the object in S3 */
async function check(path: string, { size, md5, sha256 }: ObjectInfo): Promise<void> {
  const found = (await stat(path)).size;
  if (found !== size) throw new DamagedError(`it has ${String(found)} of ${String(size)} bytes`);
  const [algorithm, expected] =
    sha256 === undefined ? (['md5', md5] as const) : (['sha256', sha256] as const);
  if (expected !== undefined && (await hashFile(path, algorithm)) !== expected.toLowerCase())
    throw new DamagedError(`its ${algorithm.toUpperCase()} does not match S3's`);
}
