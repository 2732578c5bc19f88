import { open, mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import pLimit from 'p-limit';
import pRetry from 'p-retry';
import { AppError, isAppError } from '../errors.ts';
import { writeAt } from '../files.ts';
import { manifestName } from '../storage/assets.ts';
import { isSame, isWhole } from './content-hash.ts';
import type { Depot, DepotFile } from './depot.ts';

export interface PullOptions {
  depot: Depot;
  /** Local path that a file of the depot gets; `null`: it is not wanted. */
  target: (path: string) => string | null;
  /** Files fetched at a time. */
  concurrency: number;
  /** Times that each is asked for at most: a break is gone on with. */
  attempts: number;
  signal?: AbortSignal | undefined;
}

export type PullEvent =
  | { type: 'listed'; files: number; bytes: number }
  | { type: 'checked'; done: number; total: number }
  | { type: 'present'; files: number }
  | { type: 'fetched'; path: string; done: number; total: number; bytes: number }
  | { type: 'failed'; path: string; reason: string };

interface Wanted extends DepotFile {
  localPath: string;
}

/** Files that can't be had, after each was tried again: then the rest is not tried. */
const mostFailures = 20;

/** Pause before a file is asked for again, in milliseconds; it doubles. */
const pauseMs = 300;

/**
 * Fetches the files that are not there yet, or are others. Each is put in place when all of it has come and its
 * checksum is right; what a break leaves is gone on with the next time.
 *
 * @throws AppError `assets_missing` where there is nothing to fetch, `storage_unavailable` where some files could
 *   not be had: the others are there then; the file system's error, e.g. ENOSPC
 */
export async function* pullFiles(options: PullOptions): AsyncGenerator<PullEvent> {
  const { depot, target } = options;
  const wanted: Wanted[] = [];
  for await (const file of depot.list()) {
    const localPath = target(file.path);
    if (localPath !== null) wanted.push({ ...file, localPath });
  }
  if (wanted.length === 0)
    throw new AppError('assets_missing', `${depot.name} has none of the files that are wanted.`);
  const bytes = wanted.reduce((sum, { size }) => sum + size, 0);
  yield { type: 'listed', files: wanted.length, bytes };
  const lacking: Wanted[] = [];
  for (const [i, file] of wanted.entries()) {
    if (!(await isSame(file.localPath, file))) lacking.push(file);
    if ((i + 1) % 500 === 0 || i + 1 === wanted.length)
      yield { type: 'checked', done: i + 1, total: wanted.length };
  }
  if (lacking.length < wanted.length)
    yield { type: 'present', files: wanted.length - lacking.length };

  const failed: string[] = [];
  // In two goes: who watches the manifest finds the others in place when it changes.
  for (const group of [lacking.filter((file) => !isManifest(file)), lacking.filter(isManifest)]) {
    if (failed.length > 0) break;
    for await (const event of fetchAll(group, options)) {
      if (event.type === 'failed') failed.push(event.reason);
      yield event;
      if (failed.length >= mostFailures) break;
    }
  }
  if (failed.length > 0)
    throw new AppError(
      'storage_unavailable',
      `${String(failed.length)} of ${String(wanted.length)} files could not be fetched${failed.length >= mostFailures ? ', so it was given up' : ''}: run it again to go on. The first: ${failed[0] ?? ''}`,
    );
}

const isManifest = ({ path }: DepotFile): boolean => basename(path) === manifestName;

/** Fetches several at a time, and tells of each in order. */
async function* fetchAll(
  files: readonly Wanted[],
  options: PullOptions,
): AsyncGenerator<Extract<PullEvent, { type: 'fetched' | 'failed' }>> {
  const limit = pLimit(options.concurrency);
  const fetching = files.map((file) => limit(() => fetchFile(file, options)));
  for (const one of fetching) one.catch(() => undefined); // awaited below, in order
  try {
    for (const [i, { path, size }] of files.entries())
      try {
        await fetching[i];
        yield { type: 'fetched', path, done: i + 1, total: files.length, bytes: size };
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!isAppError(error)) throw error;
        yield { type: 'failed', path, reason: error.detail };
      }
  } finally {
    limit.clearQueue();
  }
}

async function fetchFile(file: Wanted, { depot, attempts, signal }: PullOptions): Promise<void> {
  const part = `${file.localPath}.part`;
  await mkdir(dirname(file.localPath), { recursive: true });
  const attempt = async () => {
    signal?.throwIfAborted();
    await fetchRest(depot, file, part, signal);
    if (await isWhole(part, file)) return;
    await rm(part, { force: true }); // what went wrong is not known: from the start
    throw new Error('what came is not what the checksum says');
  };
  try {
    await pRetry(attempt, {
      retries: attempts - 1,
      minTimeout: pauseMs,
      signal,
      shouldRetry: ({ error }) =>
        !isAppError(error) && !isDiskError(error) && signal?.aborted !== true,
    });
  } catch (error) {
    if (isAppError(error) || isDiskError(error) || signal?.aborted === true) throw error;
    const reason = error instanceof Error ? error.message : 'unknown error';
    throw new AppError('storage_unavailable', `${file.path} from ${depot.name}: ${reason}.`, {
      cause: error,
    });
  }
  await rename(part, file.localPath);
}

/** Goes on where the part that is there ends, if a checksum will tell whether both are of the same file. */
async function fetchRest(
  depot: Depot,
  file: Wanted,
  part: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const have = file.hash === undefined ? 0 : ((await stat(part).catch(() => null))?.size ?? 0);
  if (have === file.size && have > 0) return;
  const start = have < file.size ? have : 0;
  const stream = await depot.read(file.path, start, signal);
  const out = await open(part, stream.from > 0 ? 'r+' : 'w');
  try {
    let at = stream.from;
    for await (const chunk of stream.body) {
      if (at + chunk.length > file.size) throw new Error('more came than there is');
      await writeAt(out, chunk, at);
      at += chunk.length;
    }
    if (at < file.size) throw new Error(`${String(at)} of ${String(file.size)} bytes came`);
  } finally {
    await out.close();
  }
}

const isDiskError = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO'].includes(String(error.code));
