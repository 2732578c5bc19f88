import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageEncoder } from '../clip/image-encoder.ts';
import { isAppError } from '../errors.ts';
import { coverName } from '../storage/covers.ts';
import type { Journal, Skipped } from './journal.ts';

/** Covers embedded together; more gain no time (bench/encode.ts). */
export const batchSize = 8;

/**
 * Batches that are decoded ahead. Decoding takes several turns of the event loop, and the model blocks it:
 * each batch gets one turn between two runs of the model.
 */
const batchesAhead = 6;

export interface EmbedOptions {
  /** Public ids, in the order of the metadata. */
  albumIds: readonly number[];
  imagesDir: string;
  encoder: ImageEncoder;
  journal: Journal;
  /** Ends the work after the batch under way. */
  signal?: AbortSignal | undefined;
}

/**
 * Embeds the covers that the journal has not, batch by batch, decoding while the model runs. A cover that is
 * missing or unreadable is skipped.
 *
 * @throws what the signal was aborted with; the file system's error where the journal can't be written
 */
export async function* embedCovers(options: EmbedOptions): AsyncGenerator<Skipped | null> {
  const { albumIds, imagesDir, encoder, journal, signal } = options;
  const decode = (from: number) =>
    Promise.all(
      albumIds
        .slice(from, from + batchSize)
        .map((albumId, i) => decodeCover(encoder, imagesDir, albumId, from + i)),
    );
  const ahead: ReturnType<typeof decode>[] = [];
  let next = journal.done;
  while (journal.done < albumIds.length) {
    signal?.throwIfAborted();
    for (; ahead.length < batchesAhead && next < albumIds.length; next += batchSize) {
      const batch = decode(next);
      batch.catch(() => undefined); // it is awaited, and thrown, in its turn
      ahead.push(batch);
    }
    const covers = (await ahead.shift()) ?? [];
    const tensors = covers.flatMap((cover) => (cover instanceof Float32Array ? [cover] : []));
    const embeddings = tensors.length > 0 ? await encoder.embedBatch(tensors) : [];
    const vectors = covers.map((cover) =>
      cover instanceof Float32Array ? (embeddings.shift() ?? null) : null,
    );
    const skipped = covers.filter((cover): cover is Skipped => !(cover instanceof Float32Array));
    await journal.append(vectors, skipped);
    for (const one of skipped) yield one;
    yield null;
  }
}

/** The model's input for a cover, or why there is none. */
async function decodeCover(
  encoder: ImageEncoder,
  imagesDir: string,
  albumId: number,
  position: number,
): Promise<Float32Array | Skipped> {
  const file = coverName(albumId);
  try {
    return await encoder.preprocess(await readFile(join(imagesDir, file)));
  } catch (error) {
    if (isAppError(error)) return { position, albumId, file, reason: error.detail };
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!unreadableFile.has(code)) throw error;
    const reason = code === 'ENOENT' ? 'there is no such file' : `it can not be read (${code})`;
    return { position, albumId, file, reason };
  }
}

/** Of this one file; that too many are open, say, is no fault of the cover's. */
const unreadableFile = new Set(['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO', 'ELOOP', 'ENOTDIR']);
