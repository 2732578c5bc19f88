import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import { usableCores } from '../concurrency/cores.ts';
import { fromPlainError, type PlainError } from '../errors.ts';
import { workerFile } from '../concurrency/worker-file.ts';
import type { Encoded, EncoderTask, LoadedTower, Outcome, Query } from './encoder-worker.ts';
import type { ImageEncoderOptions } from './image-encoder.ts';
import type { ClipDtype, Tower } from './model-files.ts';

/** Maximum batch size: beyond 8, the time per picture no longer drops (`embedBatch` in `embedding.ts`). */
const largestBatch = 8;

export interface EncoderPoolOptions extends Omit<ImageEncoderOptions, 'run'> {
  tower: Tower;
  /** Number of workers; each holds the tower in memory. Default: {@link defaultWorkers}. */
  workers?: number | undefined;
  /** Threads per model run. Default: {@link defaultThreads}. */
  threads?: number | undefined;
  /** Batches in flight per worker: with more than one, decoding overlaps with a model run. Default: 1. */
  batchesEach?: number;
  /** Called after each batch. */
  onBatch?: (batch: EncodedBatch) => void;
  /** Called with the error when a worker dies; the worker is replaced. */
  onWorkerLost?: (error: unknown) => void;
}

/** A batch of queries encoded together. */
export interface EncodedBatch {
  /** Duration in milliseconds. */
  ms: number;
  /** Milliseconds that each query spent in the queue. */
  waitedMs: number[];
}

interface Waiting {
  query: Query;
  /** `performance.now()` when the query was queued. */
  since: number;
  resolve: (encoded: Encoded) => void;
  reject: (error: unknown) => void;
}

/**
 * One tower of a model in worker threads, which also decode the pictures. Queries queued while all workers are busy are
 * encoded in batches of up to 8; no query waits for a batch to fill. A worker that dies is replaced, and its queries
 * are retried once, one by one.
 */
export class EncoderPool {
  /** Length of every embedding. */
  readonly dimension: number;
  readonly dtype: ClipDtype;
  readonly workers: number;
  /** Threads per model run. */
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
   * Starts the workers and loads the tower in one of them. The others load it with their first query, or earlier by
   * {@link loadAll}.
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
        run: { threads, spin: workers === 1 }, // spinning takes CPU time from other workers
      } satisfies EncoderTask,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: batchesEach,
      atomics: 'disabled', // would block the worker's event loop between tasks
      recordTiming: false,
    });
    pool.on('error', (error) => options.onWorkerLost?.(error));
    try {
      return new EncoderPool(pool, options, { ...(await load(pool)), workers, threads });
    } catch (error) {
      await pool.destroy();
      throw error;
    }
  }

  /** Loads the tower in every worker. @throws as {@link open} */
  async loadAll(): Promise<void> {
    await Promise.all(Array.from({ length: this.workers }, () => load(this.#pool)));
  }

  /** Number of queries waiting for a worker. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * @param query an encoded picture in one of `acceptedFormats`, or a text, depending on the tower
   * @param signal removes the query from the queue
   * @returns `Float32Array` of `dimension`, L2-normalised; for a photo also its features
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image`, `image_too_large` or `encoder_lost`; the
   *   signal's abort reason
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
      if (!outcome) reject(new Error('The worker returned no result for a query'));
      else if ('message' in outcome) reject(fromPlainError(outcome));
      else resolve(outcome);
    }
    this.#dispatch();
  }

  /** Encodes a batch of queries in one model run. @returns one outcome per query, in the same order */
  async encodeBatch<Q extends Query>(queries: readonly Q[]): Promise<Outcome<Q>[]> {
    const outcomes = await this.#run(queries);
    if (outcomes) return outcomes;
    // One of them may have crashed the worker: retry them one by one, so that only that one fails.
    return Promise.all(queries.map(async (query) => (await this.#run([query]))?.[0] ?? lost));
  }

  /** @returns `null` if the worker died */
  async #run<Q extends Query>(queries: readonly Q[]): Promise<Outcome<Q>[] | null> {
    const { signal } = this.#unstaffed;
    try {
      return (await this.#pool.run(queries, { name: 'encode', signal })) as Outcome<Q>[];
    } catch (error) {
      this.#options.onWorkerLost?.(error);
      return null;
    }
  }

  /** Stops the workers after their current batches. */
  async close(): Promise<void> {
    await this.#pool.close();
  }
}

const lost: PlainError = {
  code: 'encoder_lost',
  message: 'The model crashed twice while encoding the query: try again in a moment.',
  stack: undefined,
};

/** Loads the tower in an idle worker. @throws AppError `assets_missing` or `model_unreadable` */
async function load(pool: Piscina): Promise<LoadedTower> {
  const loaded = (await pool.run(undefined, { name: 'load' })) as LoadedTower | PlainError;
  if ('message' in loaded) throw fromPlainError(loaded);
  return loaded;
}

/**
 * Maximum number of workers, because each holds the model's packed weights in memory (85 MB as q8, 350 MB as fp32). Further cores become
 * threads of their runs.
 */
const mostWorkers = 4;

/** Workers for maximum throughput, where latency does not matter: with one thread each, none waits for another. */
export const workersForThroughput = (): number => Math.min(mostWorkers, usableCores());

/**
 * Vision: one worker per two cores, but two on two cores. There (q8), two workers of one thread answer 55 pictures a
 * second to twelve clients on the same cores, one worker of two threads 44: its threads wait for each other whenever
 * another program has one of the cores. A single picture takes 33 instead of 28 ms (docs/load.md). Text: one worker,
 * since a run is short and takes all waiting queries.
 */
function defaultWorkers(tower: Tower): number {
  const cores = usableCores();
  if (tower === 'text' || cores === 1) return 1;
  return Math.min(mostWorkers, Math.max(2, Math.floor(cores / 2)));
}

/** Text: one thread; see `text-encoder.ts`. */
const defaultThreads = (tower: Tower, workers: number): number =>
  tower === 'text' ? 1 : Math.max(1, Math.floor(usableCores() / workers));
