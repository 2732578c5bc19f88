import { parentPort, workerData } from 'node:worker_threads';
import { createImageEncoder } from '../clip/image-encoder.ts';
import type { ClipDtype } from '../clip/model-files.ts';
import { isAppError, type ErrorCode } from '../errors.ts';
import { decodeBatch, embedBatch, type CoverBatch, type CoverOutcome } from './cover-batch.ts';

/** What a worker is started with. */
export interface WorkerTask {
  modelDir: string;
  dtype: ClipDtype | undefined;
  imagesDir: string;
  /** Threads for one run of the model. */
  threads: number;
}

/** An error on its way between threads, which would lose its code. */
export interface PlainError {
  message: string;
  /** Where it is an AppError. */
  code: ErrorCode | undefined;
}

/** What a worker is sent: a batch, or the word to end. */
export type WorkerRequest = CoverBatch | 'end';

/** What a worker answers: once that it is ready, then each batch in its turn. */
export type WorkerAnswer =
  | { type: 'ready'; dimension: number }
  | { type: 'embedded'; covers: CoverOutcome[] }
  | { type: 'failed'; error: PlainError };

/** A thread with a model of its own: embeds the batches it is sent, decoding the next ones meanwhile. */
async function main(): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('Expected to be started as a worker');
  const { modelDir, dtype, imagesDir, threads } = workerData as WorkerTask;
  const answer = (message: WorkerAnswer) => {
    port.postMessage(message);
  };
  const encoder = await createImageEncoder({ modelDir, dtype, run: { threads, spin: false } });
  let last = Promise.resolve();
  let ended = false;
  port.on('message', (request: WorkerRequest) => {
    if (request === 'end') {
      ended = true; // nobody waits for what is left
      last = last
        .then(() => encoder.dispose())
        .finally(() => {
          port.close();
        });
      return;
    }
    const decoded = decodeBatch(encoder, imagesDir, request);
    decoded.catch(() => undefined); // it is awaited, and told, in its turn
    last = last.then(async () => {
      if (ended) return;
      try {
        answer({ type: 'embedded', covers: await embedBatch(encoder, await decoded) });
      } catch (error) {
        answer({ type: 'failed', error: plain(error) });
      }
    });
  });
  answer({ type: 'ready', dimension: encoder.dimension });
}

const plain = (error: unknown): PlainError => ({
  message: error instanceof Error ? error.message : String(error),
  code: isAppError(error) ? error.code : undefined,
});

main().catch((error: unknown) => {
  parentPort?.postMessage({ type: 'failed', error: plain(error) } satisfies WorkerAnswer);
});
