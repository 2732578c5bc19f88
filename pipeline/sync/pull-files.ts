import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { AppError, isAppError } from '../../lib/errors.ts';
import { writeAt } from '../../lib/filesystem/files.ts';
import { mapInOrder } from '../map-in-order.ts';
import { isTransient, withRetries } from '../../lib/concurrency/retry.ts';
import { manifestName } from '../../lib/assets/assets.ts';
import { isCoverName } from '../../lib/assets/covers.ts';
import { isSame, isWhole } from './content-hash.ts';
import type { Remote, RemoteFile } from './remote.ts';
import { reasonOf } from './reason.ts';

/** Which files to pull from a remote, and where they go. */
export interface PullPlan {
  /** Local path of a remote file; `null`: not pulled. */
  target: (path: string) => string | null;
  /** Local paths of the files without which the rest is useless. */
  required: readonly string[];
  /** Local files derived from the required ones: deleted if those change and the remote has none. */
  derived?: readonly string[];
}

export interface PullOptions {
  remote: Remote;
  plan: PullPlan;
  /** Files fetched at a time. */
  concurrency: number;
  /** Most attempts per file; each resumes where the last one ended. */
  attempts: number;
  signal?: AbortSignal | undefined;
}

export type PullEvent =
  | { type: 'listed'; files: number; bytes: number }
  | { type: 'checked'; done: number; total: number }
  | { type: 'present'; files: number }
  | { type: 'fetched'; path: string; done: number; total: number; bytes: number }
  | { type: 'failed'; path: string; reason: string };

interface Wanted extends RemoteFile {
  localPath: string;
}

/** The pull is abandoned after this many files have failed, each after its retries. */
const maxFailures = 20;

/**
 * Fetches the files that are missing or differ. A cover is put in place as soon as it is complete and its checksum is
 * correct; the files of a set or a model when all of them are, so that they always match. The next pull resumes an
 * interrupted one.
 *
 * @throws AppError `assets_missing` if the remote lacks required files, `storage_unavailable` if some files could not
 *   be fetched; the file system's error, e.g. ENOSPC; the signal's abort reason
 */
export async function* pullFiles(options: PullOptions): AsyncGenerator<PullEvent> {
  const { plan, signal } = options;
  const wanted = await listWanted(options);
  const bytes = wanted.reduce((sum, { size }) => sum + size, 0);
  yield { type: 'listed', files: wanted.length, bytes };
  const lacking: Wanted[] = [];
  for (const [i, file] of wanted.entries()) {
    signal?.throwIfAborted();
    if (!(await isSame(file.localPath, file))) lacking.push(file);
    if ((i + 1) % 500 === 0 || i + 1 === wanted.length)
      yield { type: 'checked', done: i + 1, total: wanted.length };
  }
  if (lacking.length < wanted.length)
    yield { type: 'present', files: wanted.length - lacking.length };

  const covers = lacking.filter(isCover);
  const together = lacking.filter((file) => !isCover(file));
  const failed: string[] = [];
  for (const group of [covers, together]) {
    if (failed.length >= maxFailures) break;
    for await (const event of fetchAll(group, options)) {
      if (event.type === 'failed') failed.push(event.reason);
      yield event;
      if (failed.length >= maxFailures) break;
    }
  }
  if (failed.length > 0)
    throw new AppError(
      'storage_unavailable',
      `${String(failed.length)} of ${String(wanted.length)} files could not be fetched${failed.length >= maxFailures ? ', so the pull was stopped' : ''}: run the command again to resume. The first error: ${failed[0] ?? ''}`,
    );
  await putInPlace(together);
  if (together.length > 0)
    for (const path of plan.derived ?? [])
      if (!wanted.some(({ localPath }) => localPath === path)) await rm(path, { force: true });
}

const isCover = ({ path }: RemoteFile): boolean => isCoverName(basename(path));

const isManifest = ({ path }: RemoteFile): boolean => basename(path) === manifestName;

const partOf = ({ localPath }: Wanted): string => `${localPath}.part`;

/** Size of an empty list, `[]`, in bytes. */
const emptyBytes = 2;

/** @throws AppError `assets_missing` naming the required files that the remote lacks, or one that is empty */
async function listWanted({ remote, plan, signal }: PullOptions): Promise<Wanted[]> {
  const wanted = new Map<string, Wanted>();
  for await (const file of remote.list(signal)) {
    const localPath = plan.target(file.path);
    // If a name exists both in `models/` and at the top, the former counts.
    if (localPath !== null && (!wanted.has(localPath) || file.path.includes('/')))
      wanted.set(localPath, { ...file, localPath });
  }
  if (wanted.size === 0)
    throw new AppError('assets_missing', `${remote.name} has none of the required files.`);
  const missing = plan.required.filter((localPath) => !wanted.has(localPath));
  if (missing.length > 0)
    throw new AppError(
      'assets_missing',
      `${remote.name} does not have ${missing.map((path) => basename(path)).join(', ')}.`,
    );
  const empty = plan.required.find((localPath) => (wanted.get(localPath)?.size ?? 0) <= emptyBytes);
  if (empty !== undefined)
    throw new AppError('assets_missing', `In ${remote.name}, ${basename(empty)} is empty.`);
  return [...wanted.values()];
}

/** Renames complete files, the manifest last, so that a process that watches it finds the others in place. */
async function putInPlace(files: readonly Wanted[]): Promise<void> {
  for (const file of [
    ...files.filter((one) => !isManifest(one)),
    ...files.filter((one) => isManifest(one)),
  ])
    await rename(partOf(file), file.localPath);
}

/** Fetches several files at a time and reports them in order. */
async function* fetchAll(
  files: readonly Wanted[],
  options: PullOptions,
): AsyncGenerator<Extract<PullEvent, { type: 'fetched' | 'failed' }>> {
  const giveUp = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, giveUp.signal]) : giveUp.signal;
  const fetchOne = async (file: Wanted): Promise<string | null> => {
    try {
      await fetchFile(file, { ...options, signal });
      return null;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isAppError(error)) throw error;
      return error.detail;
    }
  };
  let done = 0;
  try {
    for await (const reason of mapInOrder(files, options.concurrency, fetchOne)) {
      const { path = '', size = 0 } = files[done] ?? {};
      done += 1;
      yield reason === null
        ? { type: 'fetched', path, done, total: files.length, bytes: size }
        : { type: 'failed', path, reason };
    }
  } finally {
    giveUp.abort();
  }
}

async function fetchFile(file: Wanted, options: PullOptions): Promise<void> {
  const { remote, attempts, signal } = options;
  const part = partOf(file);
  await mkdir(dirname(file.localPath), { recursive: true });
  const attempt = async () => {
    signal?.throwIfAborted();
    await fetchRest(remote, file, part, signal);
    if (await isWhole(part, file)) return;
    await rm(part, { force: true }); // the cause is unknown: start over
    throw new Error('the checksum does not match');
  };
  try {
    await withRetries(attempt, { attempts, signal });
  } catch (error) {
    if (!isTransient(error) || signal?.aborted === true) throw error;
    throw new AppError(
      'storage_unavailable',
      `${file.path} from ${remote.name}: ${reasonOf(error)}.`,
      { cause: error },
    );
  }
  if (isCover(file)) await rename(part, file.localPath);
}

/** Resumes a partial download, but only if a checksum can verify the result. */
async function fetchRest(
  remote: Remote,
  file: Wanted,
  part: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const have = file.hash === undefined ? 0 : ((await stat(part).catch(() => null))?.size ?? 0);
  if (have === file.size && have > 0) return;
  const start = have < file.size ? have : 0;
  const stream = await remote.read(file.path, start, signal);
  const out = await open(part, stream.from > 0 ? 'r+' : 'w');
  try {
    let at = stream.from;
    for await (const chunk of stream.body) {
      if (at + chunk.length > file.size) throw new Error('received more bytes than expected');
      await writeAt(out, chunk, at);
      at += chunk.length;
    }
    if (at < file.size) throw new Error(`received ${String(at)} of ${String(file.size)} bytes`);
  } finally {
    await out.close();
  }
}
