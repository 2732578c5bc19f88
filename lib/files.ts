import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from './errors.ts';

/** Of the disk, not of a connection: a retry would not help. */
export const isDiskError = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'EFBIG'].includes(String(error.code));

/** A name beside a file for what is not whole yet, which no other call and no other process takes. */
export const nameBeside = (path: string): string => `${path}.${randomUUID()}.new`;

/** Time after which nobody can still be writing a file that has not grown, in milliseconds. */
const staleMs = 600_000;

/** Removes what processes that were killed have left under names of {@link nameBeside}. */
export async function removeStale(path: string): Promise<void> {
  const begin = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(begin) || !/^[0-9a-f-]{36}\.new$/.test(name.slice(begin.length))) continue;
    const beside = join(dirname(path), name);
    const found = await stat(beside).catch(() => null); // it has just been put in its place
    if (found && Date.now() - found.mtimeMs > staleMs) await rm(beside, { force: true });
  }
}

/** What Git LFS leaves in the place of a file that it has not fetched begins so. */
const lfsPointer = Buffer.from('version https://git-lfs');

/**
 * @param path of a file that is there
 * @throws AppError `assets_missing` where it is a pointer of Git LFS and not the file itself
 */
export async function refuseLfsPointer(path: string): Promise<void> {
  const file = await open(path);
  const begin = Buffer.alloc(lfsPointer.length);
  await file.read(begin).finally(() => file.close());
  if (begin.equals(lfsPointer))
    throw new AppError(
      'assets_missing',
      `${path} is a pointer of Git LFS, not the file itself: run git lfs pull.`,
    );
}

/** Writes all of the bytes: one call may take fewer, as on a disk that fills up. @param position in bytes */
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

/** Writes a whole file, and waits until the disk has it. */
export async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file by another that is first written beside it, so that whatever goes wrong leaves what was
 * there before.
 */
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
