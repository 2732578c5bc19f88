import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';

/**
 * Does something with a disk of 200 kB in a folder of its own.
 *
 * @returns why not, where no disk can be mounted here
 */
export async function withSmallDisk(
  dir: string,
  work: () => Promise<void>,
): Promise<string | undefined> {
  await mkdir(dir);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', dir], { stdio: 'ignore' });
  } catch {
    return 'a small disk can not be mounted here';
  }
  try {
    await work();
  } finally {
    execFileSync('umount', [dir]);
  }
  return undefined;
}
