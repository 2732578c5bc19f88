import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
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

/** A file of this size takes about 20 ms to hash, in bytes; a larger one would hold up other work for long. */
const hashedHere = 2 ** 24;

/** The checksum of a file, in hex. A large file is hashed in a thread of its own. */
export async function hashFile(path: string, algorithm: 'sha256' | 'md5'): Promise<string> {
  if ((await stat(path)).size > hashedHere) return hashInThread(path, algorithm);
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}

/** What the thread does. As text, so that no bundle has to know of another file. */
const hashing = `
  const { createHash } = require('node:crypto');
  const { closeSync, openSync, readSync } = require('node:fs');
  const { parentPort, workerData } = require('node:worker_threads');
  const { getPriority, setPriority } = require('node:os');
  if (process.platform === 'linux') setPriority(Math.max(10, getPriority())); // of this thread alone
  const hash = createHash(workerData.algorithm);
  const file = openSync(workerData.path);
  const part = Buffer.allocUnsafe(2 ** 20);
  for (let length; (length = readSync(file, part)) > 0; ) hash.update(part.subarray(0, length));
  closeSync(file);
  parentPort.postMessage(hash.digest('hex'));
`;

async function hashInThread(path: string, algorithm: string): Promise<string> {
  const worker = new Worker(hashing, { eval: true, execArgv: [], workerData: { path, algorithm } });
  try {
    const [digest] = (await once(worker, 'message')) as [string];
    return digest;
  } finally {
    await worker.terminate();
  }
}
