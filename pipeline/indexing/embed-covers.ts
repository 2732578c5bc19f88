import { readdir } from 'node:fs/promises';
import { coverFileIn, coverNames, type CoverOwner } from '../../lib/assets/covers.ts';
import { EncoderPool, workersForThroughput } from '../../lib/clip/encoder-pool.ts';
import type { ClipDtype } from '../../lib/clip/model-files.ts';
import { AppError, fromPlainError } from '../../lib/errors.ts';
import { mapInOrder } from '../map-in-order.ts';
import { Journal, type Skipped } from './journal.ts';
import { readCover } from './read-cover.ts';

/**
 * Covers per run of the model. On 2 cores, two q8 CLIP models in parallel embed 106 covers a second in batches of 16,
 * 101 in batches of 8, and no more in batches of 32 (bench/index-build.ts).
 */
export const batchSize = 16;

/**
 * Batches queued per worker. Decoding needs several turns of the worker's event loop, which the model blocks: each
 * queued batch gets one turn between two runs of the model.
 */
const batchesEach = 4;

export interface EmbedOptions {
  /** In the order of the metadata. */
  albums: readonly CoverOwner[];
  imagesDir: string;
  modelDir: string;
  dtype: ClipDtype;
  /** Folder of the journal. */
  outDir: string;
  /** Everything the embeddings depend on, as JSON: a journal with another plan cannot be resumed. */
  plan: Record<string, unknown>;
  /** Resume an interrupted run. */
  resume: boolean;
  /** Discard an interrupted run. If neither is set and there is one, the run is refused. */
  restart: boolean;
  /** Continue even if most covers are missing. */
  allowMissing?: boolean | undefined;
  /** Called with the length of the embeddings before the work begins; may throw to prevent it. */
  check?: (dimension: number) => Promise<unknown>;
  /** Stops after the current batch. */
  signal?: AbortSignal | undefined;
}

export type EmbedEvent =
  | { type: 'resumed'; done: number; total: number }
  | ({ type: 'skipped' } & Skipped)
  | { type: 'embedded'; done: number; total: number };

/**
 * Embeds covers into a journal: each batch is read, decoded and embedded by a worker of the pool, and appended.
 * Missing and unreadable covers are skipped.
 *
 * @returns the journal, which the caller closes or removes
 * @throws AppError `assets_missing` or `model_unreadable`; `assets_inconsistent` if the interrupted run had another plan;
 *   the signal's abort reason; the file system's error, e.g. ENOSPC
 */
export async function* embedCovers(options: EmbedOptions): AsyncGenerator<EmbedEvent, Journal> {
  const { albums, imagesDir, modelDir, dtype, outDir, resume, restart, signal } = options;
  const total = albums.length;
  await assertCovers(options);
  const encoder = await EncoderPool.open({
    tower: 'vision',
    modelDir,
    dtype,
    workers: workersForThroughput(),
    batchesEach,
  });
  let journal: Journal | undefined;
  try {
    const { dimension } = encoder;
    await options.check?.(dimension);
    const plan = { ...options.plan, batch: batchSize };
    const work = { dimension, batch: batchSize, total, resume, restart };
    journal = await Journal.open(outDir, plan, work);
    if (journal.done > 0) yield { type: 'resumed', done: journal.done, total };
    for (const skipped of journal.skipped) yield { type: 'skipped', ...skipped };

    const starts: number[] = [];
    for (let from = journal.done; from < total; from += batchSize) starts.push(from);
    const batches = mapInOrder(starts, batchesEach * encoder.workers, (from) =>
      embedBatch(encoder, imagesDir, albums.slice(from, from + batchSize), from),
    );
    for await (const covers of batches) {
      const skipped = covers.filter((cover): cover is Skipped => !isVector(cover));
      await journal.append(
        covers.map((cover) => (isVector(cover) ? cover : null)),
        skipped,
      );
      for (const one of skipped) yield { type: 'skipped', ...one };
      yield { type: 'embedded', done: journal.done, total };
      signal?.throwIfAborted();
    }
    if (total > 0 && journal.skipped.length === total) {
      const reason = journal.skipped[0]?.reason ?? '';
      await journal.remove();
      throw new AppError(
        'assets_missing',
        `None of the ${String(total)} covers in ${imagesDir} can be read (${reason}), so nothing is written.`,
      );
    }
    const complete = journal;
    journal = undefined; // the caller's from here on
    return complete;
  } finally {
    await Promise.all([journal?.close(), encoder.close()]);
  }
}

type CoverOutcome = Float32Array | Skipped;

const isVector = (outcome: CoverOutcome): outcome is Float32Array =>
  outcome instanceof Float32Array;

/**
 * Embeds consecutive covers in one run of the model.
 *
 * @param from position of the first in the metadata
 * @returns for each cover its embedding, or why it is skipped
 */
async function embedBatch(
  encoder: EncoderPool,
  imagesDir: string,
  albums: readonly CoverOwner[],
  from: number,
): Promise<CoverOutcome[]> {
  const covers = await Promise.all(albums.map((album, i) => readCover(imagesDir, album, from + i)));
  const outcomes = await encoder.encodeBatch(
    covers.flatMap((cover) => ('bytes' in cover ? [cover.bytes] : [])),
  );
  return covers.map((cover) => {
    if (!('bytes' in cover)) return cover;
    const outcome = outcomes.shift();
    if (outcome instanceof Float32Array) return outcome;
    // A fault of the picture has a code of its own; any other error is not the cover's fault.
    if (!outcome?.code || outcome.code === 'encoder_lost' || outcome.code === 'internal_error')
      throw fromPlainError(outcome ?? { message: 'none', code: undefined, stack: undefined });
    const { position, albumId, file } = cover;
    return { position, albumId, file, reason: outcome.message };
  });
}

/**
 * Checks that the covers exist, so that a wrong folder or list is reported before an hour of embedding.
 *
 * @throws AppError `assets_missing` if none exists, or fewer than half of them
 */
async function assertCovers({ albums, imagesDir, allowMissing }: EmbedOptions): Promise<void> {
  await readdir(imagesDir).catch((cause: unknown) => {
    throw new AppError('assets_missing', `${imagesDir} is not a folder that can be read.`, {
      cause,
    });
  });
  const missing: string[] = [];
  for (const album of albums)
    if ((await coverFileIn(imagesDir, album)) === null)
      missing.push(coverNames(album).join(' or '));
  const there = albums.length - missing.length;
  if (missing.length === 0 || (there > 0 && (allowMissing === true || there >= missing.length)))
    return;
  const some = `${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}`;
  throw new AppError(
    'assets_missing',
    there === 0
      ? `${imagesDir} has none of the ${String(albums.length)} covers (looked for ${some}), so nothing is written.`
      : `${imagesDir} has only ${String(there)} of the ${String(albums.length)} covers (not ${some}): use another folder, or skip the missing ones with --allow-missing.`,
  );
}
