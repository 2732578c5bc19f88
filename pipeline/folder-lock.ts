import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../lib/errors.ts';
import { nameBeside } from '../lib/filesystem/files.ts';

const lockName = '.lock';

interface Holder {
  pid: number;
  /** When the process started, in clock ticks since boot: process ids are reused. */
  began: string | null;
  host: string;
}

/**
 * Does work with exclusive use of a folder. A lock left by a process that has ended is taken over.
 *
 * @param dir if it does not exist, nothing is locked: the work itself reports that
 * @throws AppError `busy` if another process is working there; the file system's error
 */
export async function* inLockedFolder<Event, Result>(
  dir: string,
  work: () => AsyncGenerator<Event, Result>,
): AsyncGenerator<Event, Result> {
  const path = join(dir, lockName);
  const locked = await lock(dir, path);
  try {
    return yield* work();
  } finally {
    if (locked) await rm(path, { force: true });
  }
}

async function lock(dir: string, path: string): Promise<boolean> {
  const { pid } = process;
  const own = JSON.stringify({ pid, began: await beginOf(pid), host: hostname() });
  for (;;)
    try {
      await writeFile(path, own, { flag: 'wx' });
      return true;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT') return false;
      if (code !== 'EEXIST') throw error;
      const text = await readFile(path, 'utf8').catch(() => null);
      if (text === null) continue; // it has just been released
      const holder = holderOf(text);
      if (!holder || (await isAtWork(holder)))
        throw new AppError(
          'busy',
          `Another process${holder ? ` (${String(holder.pid)} on ${holder.host})` : ''} is working in ${dir}: wait for it, or delete ${path} if it has ended.`,
        );
      await takeAway(path, text);
    }
}

/** Removes a stale lock. If another process has just replaced it, the new lock is put back. */
async function takeAway(path: string, stale: string): Promise<void> {
  const moved = nameBeside(path);
  try {
    await rename(path, moved);
    const found = await readFile(moved, 'utf8');
    if (found !== stale) await writeFile(path, found, { flag: 'wx' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error; // another process was faster
  } finally {
    await rm(moved, { force: true });
  }
}

function holderOf(text: string): Holder | null {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return null;
  }
}

async function isAtWork({ pid, began, host }: Holder): Promise<boolean> {
  if (host !== hostname()) return true; // can't be checked from here
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return began === (await beginOf(pid));
}

/** Field 22 of Linux's `/proc/PID/stat`, whose second field may contain spaces; `null` elsewhere. */
const beginOf = (pid: number): Promise<string | null> =>
  readFile(`/proc/${String(pid)}/stat`, 'utf8').then(
    (text) => text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null,
    () => null,
  );
