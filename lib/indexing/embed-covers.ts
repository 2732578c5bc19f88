import type { ClipDtype } from '../clip/model-files.ts';
import { batchSize, isVector } from './cover-batch.ts';
import { EmbeddingWorkers } from './embedding-workers.ts';
import { Journal, type Skipped } from './journal.ts';

export interface EmbedOptions {
  /** Public ids, in the order of the metadata. */
  albumIds: readonly number[];
  imagesDir: string;
  modelDir: string;
  dtype: ClipDtype;
  /** Folder that the journal lies in until the work is done. */
  outDir: string;
  /** What the result follows from, as JSON: another plan's work can't be gone on with. */
  plan: Record<string, unknown>;
  /** Go on where an earlier run ended. */
  resume: boolean;
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
  const { albumIds, outDir, resume, check, signal } = options;
  const total = albumIds.length;
  const workers = await EmbeddingWorkers.open(options);
  try {
    const { dimension } = workers;
    await check?.(dimension);
    const plan = { ...options.plan, batch: batchSize };
    const journal = await Journal.open(outDir, plan, {
      dimension,
      batch: batchSize,
      total,
      resume,
    });
    let whole = false;
    try {
      if (journal.done > 0) yield { type: 'resumed', done: journal.done, total };
      for (const skipped of journal.skipped) yield { type: 'skipped', ...skipped };
      for await (const covers of workers.embed(albumIds, journal.done)) {
        const skipped = covers.filter((cover): cover is Skipped => !isVector(cover));
        await journal.append(
          covers.map((cover) => (isVector(cover) ? cover : null)),
          skipped,
        );
        for (const one of skipped) yield { type: 'skipped', ...one };
        yield { type: 'embedded', done: journal.done, total };
        signal?.throwIfAborted();
      }
      whole = true;
      return journal;
    } finally {
      if (!whole) await journal.close();
    }
  } finally {
    await workers.close();
  }
}
