import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageEncoder } from '../clip/image-encoder.ts';
import { isAppError } from '../errors.ts';
import { coverFileIn, coverNames, type CoverOwner } from '../storage/covers.ts';
import type { Skipped } from './journal.ts';

/**
 * Covers embedded together. Two models beside each other get 106 q8 covers a second in batches of 16, 101 in those of
 * 8 and no more in those of 32 (bench/index-build.ts, CLIP on 2 cores).
 */
export const batchSize = 16;

/** Covers that follow each other in the metadata. */
export interface CoverBatch {
  /** Position of the first. */
  from: number;
  albums: readonly CoverOwner[];
}

/** A cover's model input or embedding, or why there is none. */
export type CoverOutcome = Float32Array | Skipped;

export const isVector = (outcome: CoverOutcome): outcome is Float32Array =>
  outcome instanceof Float32Array;

/** The model's input for each cover of a batch. A cover that is missing or unreadable is skipped. */
export const decodeBatch = (
  encoder: ImageEncoder,
  imagesDir: string,
  { from, albums }: CoverBatch,
): Promise<CoverOutcome[]> =>
  Promise.all(albums.map((album, i) => decodeCover(encoder, imagesDir, album, from + i)));

/** Embeds what was decoded, in one run of the model. */
export async function embedBatch(
  encoder: ImageEncoder,
  covers: readonly CoverOutcome[],
): Promise<CoverOutcome[]> {
  const tensors = covers.filter(isVector);
  const embeddings = tensors.length > 0 ? await encoder.embedBatch(tensors) : [];
  return covers.map((cover) => (isVector(cover) ? (embeddings.shift() ?? cover) : cover));
}

async function decodeCover(
  encoder: ImageEncoder,
  imagesDir: string,
  album: CoverOwner,
  position: number,
): Promise<CoverOutcome> {
  const albumId = album.id;
  const found = await coverFileIn(imagesDir, album);
  const file = found ?? coverNames(album)[0] ?? '';
  if (found === null) return { position, albumId, file, reason: 'there is no such file' };
  try {
    return await encoder.preprocess(await readFile(join(imagesDir, file)));
  } catch (error) {
    if (isAppError(error)) return { position, albumId, file, reason: error.detail };
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!unreadableFile.has(code)) throw error;
    return { position, albumId, file, reason: `it can not be read (${code})` };
  }
}

/** Of this one file; that too many are open, say, is no fault of the cover's. */
const unreadableFile = new Set(['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO', 'ELOOP', 'ENOTDIR']);
