import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../errors.ts';

/** A unique name beside a file for its unfinished replacement; no other call or process uses it. */
export const nameBeside = (path: string): string => `${path}.${randomUUID()}.new`;

/** Time without a change after which an unfinished file counts as abandoned, in milliseconds. */
const staleMs = 600_000;

/** Removes unfinished files ({@link nameBeside}) left by processes that were killed. */
export async function removeStale(path: string): Promise<void> {
  const begin = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(begin) || !/^[0-9a-f-]{36}\.new$/.test(name.slice(begin.length))) continue;
    const beside = join(dirname(path), name);
    const found = await stat(beside).catch(() => null); // it has just been renamed
    if (found && Date.now() - found.mtimeMs > staleMs) await rm(beside, { force: true });
  }
}

/** Start of the pointer that Git LFS leaves in place of a file that it has not fetched. */
const lfsPointer = Buffer.from('version https://git-lfs');

/**
 * @param path of an existing file
 * @throws AppError `assets_missing` if it is a Git LFS pointer instead of the file itself
 */
export async function refuseLfsPointer(path: string): Promise<void> {
  const file = await open(path);
  const begin = Buffer.alloc(lfsPointer.length);
  await file.read(begin).finally(() => file.close());
  if (begin.equals(lfsPointer))
    throw new AppError(
      'assets_missing',
      `${path} is a Git LFS pointer, not the file itself: run git lfs pull.`,
    );
}

/** Writes all of the bytes: one call may write fewer, e.g. when the disk fills up. @param position in bytes */
export async function writeAt(
  file: FileHandle,
  bytes: Uint8Array,
  position: number | null,
): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const at = position === null ? null : position + written;
    written += (await file.write(bytes, written, bytes.length - written, at)).bytesWritten;
  }
}

/** Whether a file was changed after another one. */
export async function isNewer(path: string, than: string): Promise<boolean> {
  const [changed, other] = await Promise.all([stat(path), stat(than)]);
  return changed.mtimeMs > other.mtimeMs;
}

/** Writes a whole file and syncs it to disk. */
export const writeSynced = (path: string, content: string | Uint8Array): Promise<void> =>
  writeFile(path, content, { flush: true });

/** Replaces a file atomically: writes the new one beside it, then renames it. A failure leaves the old file intact. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const beside = nameBeside(path);
  try {
    await writeSynced(beside, content);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** The checksum of a file, in hex. */
export async function hashFile(path: string, algorithm: 'sha256' | 'md5'): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}
