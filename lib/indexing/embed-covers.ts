import { readdir } from 'node:fs/promises';
import { EncoderPool, workersForThroughput } from '../clip/encoder-pool.ts';
import type { ClipDtype } from '../clip/model-files.ts';
import { AppError } from '../errors.ts';
import { mapInOrder } from '../map-in-order.ts';
import { coverFileIn, coverNames, type CoverOwner } from '../assets/covers.ts';
import { batchSize, embedCoverBatch, isVector } from './cover-batch.ts';
import { Journal, type Skipped } from './journal.ts';

/**
 * Batches that a worker has at a time. Decoding takes several turns of its event loop, which the model blocks:
 * each batch gets one turn between two runs of the model.
 */
const batchesEach = 4;

export interface EmbedOptions {
  /** In the order of the metadata. */
  albums: readonly CoverOwner[];
  imagesDir: string;
  modelDir: string;
  dtype: ClipDtype;
  /** Folder that the journal lies in until the work is done. */
  outDir: string;
  /** What the result follows from, as JSON: another plan's work can't be continued. */
  plan: Record<string, unknown>;
  /** Go on where an earlier run ended. */
  resume: boolean;
  /** Throw away what an earlier run left; neither: refuse to. */
  restart: boolean;
  /** Put up with most of the covers' not being there. */
  allowMissing?: boolean | undefined;
  /** Told the length of the embeddings before the work begins; what it throws keeps it from that. */
  check?: (dimension: number) => Promise<unknown>;
  /** Ends the work after the batch under way. */
  signal?: AbortSignal | undefined;
}

export type EmbedEvent =
  | { type: 'resumed'; done: number; total: number }
  | ({ type: 'skipped' } & Skipped)
  | { type: 'embedded'; done: number; total: number };

/**
 * Embeds covers, batch by batch, into a journal. A cover that is missing or unreadable is skipped.
 *
 * @returns the journal, which whoever asked closes or removes
 * @throws AppError `assets_missing` or `model_unreadable`, `assets_inconsistent` where what there is to go on
 *   with was begun with another plan; what the signal was aborted with; the file system's error, e.g. ENOSPC
 */
export async function* embedCovers(options: EmbedOptions): AsyncGenerator<EmbedEvent, Journal> {
  const { albums, imagesDir, modelDir, dtype, outDir, resume, restart, check, signal } = options;
  const total = albums.length;
  await assertCovers(options);
  const workers = workersForThroughput();
  const encoder = await EncoderPool.open({
    tower: 'vision',
    modelDir,
    dtype,
    workers,
    batchesEach,
  });
  try {
    const { dimension } = encoder;
    await check?.(dimension);
    const plan = { ...options.plan, batch: batchSize };
    const journal = await Journal.open(outDir, plan, {
      dimension,
      batch: batchSize,
      total,
      resume,
      restart,
    });
    let whole = false;
    try {
      if (journal.done > 0) yield { type: 'resumed', done: journal.done, total };
      for (const skipped of journal.skipped) yield { type: 'skipped', ...skipped };
      const starts: number[] = [];
      for (let from = journal.done; from < total; from += batchSize) starts.push(from);
      const batches = mapInOrder(starts, batchesEach * encoder.workers, (from) =>
        embedCoverBatch(encoder, imagesDir, albums.slice(from, from + batchSize), from),
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
        await journal.remove();
        throw new AppError(
          'assets_missing',
          `None of the ${String(total)} covers in ${imagesDir} can be read (${journal.skipped[0]?.reason ?? ''}), so nothing is written.`,
        );
      }
      whole = true;
      return journal;
    } finally {
      if (!whole) await journal.close();
    }
  } finally {
    await encoder.close();
  }
}

/**
 * A folder or a list that is not the right one is told before an hour of embedding, and never makes a set of next to
 * nothing.
 *
 * @throws AppError `assets_missing` where none of the covers is there, or fewer than half of them
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
