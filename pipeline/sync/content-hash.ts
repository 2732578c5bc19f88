import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { ContentHash, RemoteFile } from './remote.ts';

/** The checksum of a local file, computed the way remotes report it. */
export async function hashOf(path: string, algorithm: ContentHash['algorithm']): Promise<string> {
  const hash = createHash(algorithm === 'git' ? 'sha1' : algorithm);
  if (algorithm === 'git') hash.update(`blob ${String((await stat(path)).size)}\0`);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Whether a local file is known to equal the remote one. */
export const isSame = async (localPath: string, file: RemoteFile): Promise<boolean> =>
  file.hash !== undefined && (await isWhole(localPath, file));

/** Whether a local file has the remote one's size and, if known, its checksum. */
export async function isWhole(localPath: string, { size, hash }: RemoteFile): Promise<boolean> {
  const found = await stat(localPath).catch(() => null);
  if (found?.isFile() !== true || found.size !== size) return false;
  return hash === undefined || (await hashOf(localPath, hash.algorithm)) === hash.value;
}
