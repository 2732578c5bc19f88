import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';

/**
 * Runs `work` with a 200 kB disk mounted at `dir`.
 *
 * @returns the reason for skipping if no disk can be mounted
 */
export async function withSmallDisk(
  dir: string,
  work: () => Promise<void>,
): Promise<string | undefined> {
  await mkdir(dir);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', dir], { stdio: 'ignore' });
  } catch {
    return 'cannot mount a small disk';
  }
  try {
    await work();
  } finally {
    execFileSync('umount', [dir]);
  }
  return undefined;
}
