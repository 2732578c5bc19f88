import { readdir, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

/** All files under a folder with their contents. */
export async function filesUnder(dir: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const name of (await readdir(dir, { recursive: true })).sort())
    if ((await stat(join(dir, name))).isFile()) found.set(name, await readFile(join(dir, name)));
  return found;
}

/** Truncates a file to half of its length. */
export async function halve(path: string): Promise<void> {
  await truncate(path, Math.floor((await stat(path)).size / 2));
}
