import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { ContentHash, DepotFile } from './depot.ts';

/** The checksum of a local file, as another place would give it. */
export async function hashOf(path: string, algorithm: ContentHash['algorithm']): Promise<string> {
  const hash = createHash(algorithm === 'git' ? 'sha1' : algorithm);
  if (algorithm === 'git') hash.update(`blob ${String((await stat(path)).size)}\0`);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Whether a local file is, for certain, the one that lies at the other place. */
export const isSame = async (localPath: string, file: DepotFile): Promise<boolean> =>
  file.hash !== undefined && (await isWhole(localPath, file));

/** Whether nothing speaks against a local file's being the one that lies at the other place. */
export async function isWhole(localPath: string, { size, hash }: DepotFile): Promise<boolean> {
  const found = await stat(localPath).catch(() => null);
  if (found?.isFile() !== true || found.size !== size) return false;
  return hash === undefined || (await hashOf(localPath, hash.algorithm)) === hash.value;
}
