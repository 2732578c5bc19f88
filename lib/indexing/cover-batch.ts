import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EncoderPool } from '../clip/encoder-pool.ts';
import { fromPlainError } from '../errors.ts';
import { coverFileIn, coverNames, type CoverOwner } from '../assets/covers.ts';
import type { Skipped } from './journal.ts';

/**
 * Covers embedded together. Two models beside each other get 106 q8 covers a second in batches of 16, 101 in those of
 * 8 and no more in those of 32 (bench/index-build.ts, CLIP on 2 cores).
 */
export const batchSize = 16;

/** A cover's embedding, or why there is none. */
export type CoverOutcome = Float32Array | Skipped;

export const isVector = (outcome: CoverOutcome): outcome is Float32Array =>
  outcome instanceof Float32Array;

/**
 * Embeds covers that follow each other in the metadata, in one run of the model. One that is missing or unreadable is
 * skipped.
 *
 * @param from position of the first
 * @returns an outcome for each, in the same order
 */
export async function embedCoverBatch(
  encoder: EncoderPool,
  imagesDir: string,
  albums: readonly CoverOwner[],
  from: number,
): Promise<CoverOutcome[]> {
  const covers = await Promise.all(albums.map((album, i) => readCover(imagesDir, album, from + i)));
  const embeddings = await encoder.encodeBatch(
    covers.flatMap((cover) => ('bytes' in cover ? [cover.bytes] : [])),
  );
  return covers.map((cover) => {
    if (!('bytes' in cover)) return cover;
    const outcome = embeddings.shift();
    if (outcome instanceof Float32Array) return outcome;
    // what is said of a picture has a code; anything else is no fault of the cover's
    if (!outcome?.code || outcome.code === 'encoder_lost' || outcome.code === 'internal_error')
      throw fromPlainError(outcome ?? { message: 'none', code: undefined, stack: undefined });
    const { position, albumId, file } = cover;
    return { position, albumId, file, reason: outcome.message };
  });
}

type CoverFile = Omit<Skipped, 'reason'> & { bytes: Buffer };

/** The file of an album's cover, or why it can't be read. @throws Error that is no fault of the cover's, e.g. EMFILE */
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

/** Of this one file; that too many are open, say, is no fault of the cover's. */
const unreadableFile = new Set(['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO', 'ELOOP', 'ENOTDIR']);
