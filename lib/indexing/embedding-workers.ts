import { Worker } from 'node:worker_threads';
import { usableCores } from '../cores.ts';
import type { ClipDtype } from '../clip/model-files.ts';
import { AppError } from '../errors.ts';
import type { CoverOwner } from '../storage/covers.ts';
import { batchSize, type CoverBatch, type CoverOutcome } from './cover-batch.ts';
import { workerFile } from '../worker-file.ts';
import type { WorkerAnswer, WorkerRequest, WorkerTask } from './embed-worker.ts';

/**
 * Workers, each with a model of its own and its share of the cores. Two keep the cores busier than one with all of
 * them: while one waits for its threads or has a cover to take over, the other computes (bench/index-build.ts, CLIP
 * on 2 cores: about 105 q8 covers a second with two, 89 with one).
 */
const mostWorkers = 2;

/**
 * Batches that a worker has at a time. Decoding takes several turns of its event loop, which the model blocks:
 * each batch gets one turn between two runs of the model.
 */
const batchesAhead = 4;

/** Threads that embed covers beside each other. */
export class EmbeddingWorkers {
  /** Length of every embedding. */
  readonly dimension: number;
  readonly #threads: readonly EmbeddingThread[];

  private constructor(threads: readonly EmbeddingThread[], dimension: number) {
    this.#threads = threads;
    this.dimension = dimension;
  }

  /** @throws AppError `assets_missing` or `model_unreadable`, naming the file */
  static async open(options: {
    modelDir: string;
    dtype: ClipDtype | undefined;
    imagesDir: string;
  }): Promise<EmbeddingWorkers> {
    const cores = usableCores();
    const count = Math.min(mostWorkers, cores);
    const { modelDir, dtype, imagesDir } = options;
    const threadsEach = Math.max(1, Math.floor(cores / count));
    const task = { modelDir, dtype, imagesDir, threads: threadsEach };
    const threads = Array.from({ length: count }, () => new EmbeddingThread(task));
    try {
      const [dimension = 0] = await Promise.all(threads.map((thread) => thread.ready));
      return new EmbeddingWorkers(threads, dimension);
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.end()));
      throw error;
    }
  }

  /**
   * Embeds covers, in order.
   *
   * @param albums in the order of the metadata
   * @param from position of the first that is wanted: a multiple of {@link batchSize}
   * @returns one batch after the other: an embedding each, or why there is none
   */
  async *embed(albums: readonly CoverOwner[], from: number): AsyncGenerator<CoverOutcome[]> {
    const ahead: Promise<CoverOutcome[]>[] = [];
    let next = from;
    const askAhead = () => {
      for (; ahead.length < batchesAhead * this.#threads.length; next += batchSize) {
        if (next >= albums.length) return;
        const batch = { from: next, albums: albums.slice(next, next + batchSize) };
        const thread = this.#threads[(next / batchSize) % this.#threads.length];
        if (thread) ahead.push(thread.embed(batch));
      }
    };
    askAhead();
    while (ahead.length > 0) {
      yield (await ahead.shift()) ?? [];
      askAhead();
    }
  }

  /** Ends the threads, after the batch that each is in. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}

interface Waiting<T> {
  resolve: (value: T) => void;
  reject: (error: Error) => void;
}

/** One worker, which answers batches in the order in which it was sent them. */
class EmbeddingThread {
  /** Resolves with the length of the embeddings when the model is loaded. */
  readonly ready: Promise<number>;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #waiting: Waiting<CoverOutcome[]>[] = [];

  constructor(task: WorkerTask) {
    this.#worker = new Worker(workerFile('embed-worker'), { workerData: task });
    let loaded: Waiting<number> | undefined;
    this.ready = quiet(
      new Promise<number>((resolve, reject) => {
        loaded = { resolve, reject };
      }),
    );
    const failAll = (error: Error) => {
      loaded?.reject(error);
      for (const one of this.#waiting.splice(0)) one.reject(error);
    };
    this.#worker.on('message', (answer: WorkerAnswer) => {
      switch (answer.type) {
        case 'ready':
          loaded?.resolve(answer.dimension);
          break;
        case 'embedded':
          this.#waiting.shift()?.resolve(answer.covers);
          break;
        case 'failed':
          failAll(revive(answer.error));
      }
    });
    this.#worker.on('error', failAll);
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        failAll(new Error('A worker that embeds covers has ended'));
        resolve();
      });
    });
  }

  embed(batch: CoverBatch): Promise<CoverOutcome[]> {
    this.#send(batch);
    return quiet(
      new Promise((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
      }),
    );
  }

  end(): Promise<void> {
    this.#send('end');
    return this.#ended;
  }

  #send(request: WorkerRequest): void {
    this.#worker.postMessage(request);
  }
}

const revive = ({
  message,
  code,
}: {
  message: string;
  code: AppError['code'] | undefined;
}): Error => (code === undefined ? new Error(message) : new AppError(code, message));

/** Its rejection is told to whoever awaits it, if anybody does. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
