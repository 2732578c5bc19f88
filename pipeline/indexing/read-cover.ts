import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { coverFileIn, coverNames, type CoverOwner } from '../../lib/assets/covers.ts';
import type { Skipped } from './journal.ts';

export type CoverFile = Omit<Skipped, 'reason'> & { bytes: Buffer };

/**
 * Reads the file of an album's cover.
 *
 * @param position the album's position in the metadata
 * @returns the file, or why this cover is skipped
 * @throws Error that is not this file's fault, e.g. EMFILE
 */
export async function readCover(
  imagesDir: string,
  album: CoverOwner,
  position: number,
): Promise<CoverFile | Skipped> {
  const found = await coverFileIn(imagesDir, album);
  const about = { position, albumId: album.id, file: found ?? coverNames(album)[0] ?? '' };
  if (found === null) return { ...about, reason: 'there is no such file' };
  try {
    return { ...about, bytes: await readFile(join(imagesDir, found)) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!unreadableFile.has(code)) throw error;
    return { ...about, reason: `it cannot be read (${code})` };
  }
}

/** Errors of this one file; others, such as too many open files, are not the cover's fault. */
const unreadableFile = new Set(['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO', 'ELOOP', 'ENOTDIR']);
