import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import { usableCores } from '../cores.ts';
import { fromPlainError, type PlainError } from '../errors.ts';
import { workerFile } from '../worker-file.ts';
import type { Encoded, EncoderTask, LoadedTower, Outcome, Query } from './encoder-worker.ts';
import type { ClipDtype, Tower } from './model-files.ts';

/** Queries that are encoded together: beyond 8 a picture takes no less time (`ImageEncoder.embedBatch`). */
const largestBatch = 8;

export interface EncoderPoolOptions {
  tower: Tower;
  /** Folder of the model, in one of the layouts of `model-files.ts`. */
  modelDir: string;
  /** Default: the first present of fp32, fp16, q8. */
  dtype?: ClipDtype | undefined;
  /** Largest picture to decode, in pixels. Default: 64 million. */
  maxPixels?: number | undefined;
  /** Workers, each with the tower in memory. Default: {@link defaultWorkers}. */
  workers?: number | undefined;
  /** Threads for one run of the model. Default: {@link defaultThreads}. */
  threads?: number | undefined;
  /** Batches that a worker has at a time: with more than one, decoding overlaps with a run of the model. Default: 1. */
  batchesEach?: number;
  /** Called for each batch that was encoded. */
  onBatch?: (batch: EncodedBatch) => void;
  /** Called with the reason when a worker has ended. It is replaced. */
  onWorkerLost?: (error: unknown) => void;
}

/** Queries that were encoded together. */
export interface EncodedBatch {
  /** Milliseconds that it took. */
  ms: number;
  /** Milliseconds that each of its queries had waited before. */
  waitedMs: number[];
}

interface Waiting {
  query: Query;
  /** By `performance.now()`. */
  since: number;
  resolve: (encoded: Encoded) => void;
  reject: (error: unknown) => void;
}

/**
 * One tower of a model in worker threads, which decode pictures too. Queries that are queued while all workers are busy
 * are encoded together, up to 8 at a time; no query waits for a batch to fill. A worker that ends is replaced, and its
 * queries are retried once, one by one.
 */
export class EncoderPool {
  /** Length of every embedding. */
  readonly dimension: number;
  readonly dtype: ClipDtype;
  readonly workers: number;
  /** Threads for one run of the model. */
  readonly threads: number;
  readonly #pool: Piscina;
  readonly #options: EncoderPoolOptions;
  readonly #capacity: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  /** Aborted when no worker is left to take queued work. */
  #unstaffed = new AbortController();

  private constructor(
    pool: Piscina,
    options: EncoderPoolOptions,
    tower: LoadedTower & { workers: number; threads: number },
  ) {
    this.dimension = tower.dimension;
    this.dtype = tower.dtype;
    this.workers = tower.workers;
    this.threads = tower.threads;
    this.#pool = pool;
    this.#options = options;
    this.#capacity = tower.workers * (options.batchesEach ?? 1);
    pool.on('error', (error) => {
      if (pool.threads.length > 0) return;
      this.#unstaffed.abort(error);
      this.#unstaffed = new AbortController();
    });
  }

  /**
   * Starts the workers and loads the tower in each.
   *
   * @throws AppError `assets_missing` or `model_unreadable`, naming the file
   */
  static async open(options: EncoderPoolOptions): Promise<EncoderPool> {
    const { Piscina } = await import('piscina');
    const { tower, modelDir, dtype, maxPixels, batchesEach = 1 } = options;
    const workers = options.workers ?? defaultWorkers(tower);
    const threads = options.threads ?? defaultThreads(tower, workers);
    const pool = new Piscina({
      filename: fileURLToPath(workerFile('encoder-worker')),
      workerData: {
        ...{ tower, modelDir, dtype, maxPixels },
        ...{ threads, spin: workers === 1 },
      } satisfies EncoderTask,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: batchesEach,
      atomics: 'disabled', // it would keep a worker from what it does between two tasks
      recordTiming: false,
    });
    pool.on('error', (error) => options.onWorkerLost?.(error));
    try {
      const [first] = await Promise.all(
        Array.from(
          { length: workers },
          () => pool.run(undefined, { name: 'load' }) as Promise<LoadedTower | PlainError>,
        ),
      );
      if (!first || 'message' in first)
        throw fromPlainError(first ?? { message: 'no worker', code: undefined, stack: undefined });
      return new EncoderPool(pool, options, { ...first, workers, threads });
    } catch (error) {
      await pool.destroy();
      throw error;
    }
  }

  /** Queries that wait for a worker. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * @param query an encoded picture in one of `acceptedFormats`, or a text, depending on the tower
   * @param signal removes it from the queue
   * @returns `Float32Array` of `dimension`, L2-normalised; of a photo its features too
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image`, `image_too_large` or `encoder_lost`; what
   *   the signal was aborted with
   */
  encode<Q extends Query>(query: Q, signal?: AbortSignal): Promise<Encoded<Q>> {
    return new Promise<Encoded>((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = () => {
        const place = this.#waiting.indexOf(one);
        if (place >= 0) this.#waiting.splice(place, 1);
        reject(signal?.reason as Error);
      };
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener('abort', leave);
          how(value);
        };
      const since = performance.now();
      const one = { query, since, resolve: settle(resolve), reject: settle(reject) };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(one);
      this.#dispatch();
    }) as Promise<Encoded<Q>>;
  }

  #dispatch(): void {
    while (this.#running < this.#capacity && this.#waiting.length > 0)
      void this.#encodeTogether(this.#waiting.splice(0, largestBatch));
  }

  async #encodeTogether(batch: readonly Waiting[]): Promise<void> {
    this.#running += 1;
    const start = performance.now();
    const outcomes = await this.encodeBatch(batch.map(({ query }) => query));
    this.#running -= 1;
    this.#options.onBatch?.({
      ms: performance.now() - start,
      waitedMs: batch.map(({ since }) => start - since),
    });
    for (const [i, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[i];
      if (!outcome) reject(new Error('The worker left a query out'));
      else if ('message' in outcome) reject(fromPlainError(outcome));
      else resolve(outcome);
    }
    this.#dispatch();
  }

  /** Encodes queries together, in one run of the model. @returns an outcome for each, in the same order */
  async encodeBatch<Q extends Query>(queries: readonly Q[]): Promise<Outcome<Q>[]> {
    try {
      return await this.#run(queries);
    } catch (error) {
      // One of them may have crashed the worker: alone, it cannot take others with it.
      this.#options.onWorkerLost?.(error);
      return Promise.all(queries.map((query) => this.#tryAgain(query)));
    }
  }

  async #tryAgain<Q extends Query>(query: Q): Promise<Outcome<Q>> {
    try {
      const [outcome] = await this.#run([query]);
      if (outcome) return outcome;
    } catch (error) {
      this.#options.onWorkerLost?.(error);
    }
    return {
      code: 'encoder_lost',
      message: 'The model ended twice while it encoded the query: try again in a moment.',
      stack: undefined,
    };
  }

  #run<Q extends Query>(queries: readonly Q[]): Promise<Outcome<Q>[]> {
    const { signal } = this.#unstaffed;
    return this.#pool.run(queries, { name: 'encode', signal }) as Promise<Outcome<Q>[]>;
  }

  /** Ends the workers after their current batches. */
  async close(): Promise<void> {
    await this.#pool.close();
  }
}

/**
 * Most workers, because each has the model in memory (95 MB as q8, 350 MB as fp32). Further cores are used as threads of
 * their runs.
 */
const mostWorkers = 4;

/** Workers for the most covers a second, where nobody waits for a single one: with a thread each none waits for another. */
export const workersForThroughput = (): number => Math.min(mostWorkers, usableCores());

/**
 * Pictures: a worker for two cores. On 2 cores with nothing else to do, one worker of two threads encodes one picture in
 * 16 ms and 95 a second of twelve clients', two workers of one thread 24 ms and 86, and two of two 20 ms and 83 (q8). Where
 * other programs take the cores, threads that wait for each other lose most: there two workers of one thread are better
 * (67 a second against 27). Texts: one, since a run is short and takes all that wait.
 */
const defaultWorkers = (tower: Tower): number =>
  tower === 'text' ? 1 : Math.max(1, Math.min(mostWorkers, Math.floor(usableCores() / 2)));

/** Texts: one thread; see `text-encoder.ts`. */
const defaultThreads = (tower: Tower, workers: number): number =>
  tower === 'text' ? 1 : Math.max(1, Math.floor(usableCores() / workers));
