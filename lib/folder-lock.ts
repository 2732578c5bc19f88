import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { AppError } from './errors.ts';
import { nameBeside } from './files.ts';

const lockName = '.lock';

interface Holder {
  pid: number;
  /** When the process began, in ticks since the machine did: a number may be given to another process. */
  began: string | null;
  host: string;
}

/**
 * Does work in a folder that it has for itself. What a process that has ended left locked is taken over.
 *
 * @param dir where it does not exist nothing is locked: the work itself tells
 * @throws AppError `busy` where another process is at work there; the file system's error
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
      if (text === null) continue; // it has just been given free
      const holder = holderOf(text);
      if (!holder || (await isAtWork(holder)))
        throw new AppError(
          'busy',
          `Another process${holder ? ` (${String(holder.pid)} on ${holder.host})` : ''} is working in ${dir}: wait for it, or delete ${path} if it has ended.`,
        );
      await takeAway(path, text);
    }
}

/** Whoever else takes the lock over at the same time must not lose the one that is new. */
async function takeAway(path: string, stale: string): Promise<void> {
  const moved = nameBeside(path);
  try {
    await rename(path, moved);
    const found = await readFile(moved, 'utf8');
    if (found !== stale) await writeFile(path, found, { flag: 'wx' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error; // another was quicker
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
  if (host !== hostname()) return true; // for all that can be seen from here
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return began === (await beginOf(pid));
}

/** Field 22 of Linux's `/proc/PID/stat`, where the second may hold spaces; `null` elsewhere. */
const beginOf = (pid: number): Promise<string | null> =>
  readFile(`/proc/${String(pid)}/stat`, 'utf8').then(
    (text) => text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null,
    () => null,
  );
