import { rename, rm } from 'node:fs/promises';
import type { Index, TypedSearchResult } from 'faiss-node';
import { bitAt } from '../bitmap.ts';
import { usableCores } from '../concurrency/cores.ts';
import { nameBeside } from '../filesystem/files.ts';
import { AppError } from '../errors.ts';
import { lazy } from '../concurrency/lazy.ts';
import { readFaissHeader, typeName, whatFileIs, type Metric } from './file-header.ts';

export interface Neighbours {
  /** Rows of the index, nearest first. */
  rows: Int32Array;
  /** FAISS's distances, in the same order: inner products, or squared Euclidean distances. */
  distances: Float32Array;
}

interface Asked {
  query: Float32Array;
  k: number;
  signal: AbortSignal | undefined;
  resolve: (found: TypedSearchResult) => void;
  reject: (error: unknown) => void;
}

/** Maximum queries per pass. Each holds a distance per vector until its best are chosen: at a million, 64 MB in all. */
const mostTogether = 16;

/**
 * Inverted lists of as many bytes are mapped into memory rather than read: loading is faster, and a reload holds the
 * vectors once. Smaller ones are read, so that overwriting the file cannot harm a running server.
 */
const usuallyMapped = 64 * 2 ** 20;

/** faiss-node is loaded when an index is first opened: a handler that needs none never loads it. */
const loadFaiss = lazy(async () => {
  const { default: faiss } = await import('faiss-node');
  if ('setCores' in faiss.Index) faiss.Index.setCores(usableCores());
  return faiss;
});

/**
 * Returns freed memory to the system, if the binding can. glibc keeps what loading a model leaves: 150 to 220 MB with
 * both towers as q8.
 */
export async function trimMemory(): Promise<void> {
  const { Index } = await loadFaiss();
  if ('trimMemory' in Index) await Index.trimMemory();
}

/** The end of a sentence, if the binding refuses a type on which not every operation works (native/faiss/served.h). */
function whyNotServed(error: unknown): string | undefined {
  const why = /^not served: (.*)/.exec(error instanceof Error ? error.message : '')?.[1];
  if (why === undefined) return undefined;
  return `can't be served, since it is ${why}: create an inner-product index of type Flat, SQ8, HNSW32, IVF…,Flat, IVF…,SQ8 or similar with index build or faiss.index_factory.`;
}

/**
 * Vectors by row, with nearest-neighbour search. Wraps a FAISS index of any type in docs/index-types.md; each supports
 * searches, filters and the retrieval of vectors.
 */
export class VectorIndex {
  readonly #index: Index;
  /** The row of each place in the file, and the reverse; set if the file stores its vectors in another order. */
  #order: { rowAt: Int32Array; placeOf: Uint32Array } | undefined;
  /** Queued searches. */
  readonly #asked: Asked[] = [];
  #searching = false;
  #disposed = false;
  readonly dimension: number;
  readonly metric: Metric;
  /** E.g. `Flat`, `SQ`, `HNSW`. */
  readonly type: string;

  private constructor(index: Index, about: { dimension: number; metric: Metric; type: string }) {
    this.#index = index;
    this.dimension = about.dimension;
    this.metric = about.metric;
    this.type = about.type;
  }

  /**
   * Reads an index file as written by Python's faiss. Large lists of codes stay in the file, which is mapped into memory:
   * from then on it must not be overwritten, only replaced by renaming another one.
   *
   * @param options.mapFrom least size of lists of codes that are mapped, in bytes (default: 64 MiB)
   * @throws AppError `index_unreadable`: one sentence that names the file
   */
  static async open(path: string, { mapFrom = usuallyMapped } = {}): Promise<VectorIndex> {
    const refuse = (why: string, cause?: unknown) =>
      new AppError('index_unreadable', `${path} is not a readable FAISS index: ${why}.`, { cause });
    const header = await readFaissHeader(path).catch((error: unknown) => {
      const reason =
        error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      throw refuse(`it could not be read (${reason})`, error);
    });
    if (!header) throw refuse(await whatFileIs(path));
    const { dimension, size, metric, fourcc, expectedBytes, bytes } = header;
    if (expectedBytes !== undefined && bytes !== expectedBytes)
      throw refuse(
        `it has ${String(bytes)} bytes where ${String(size)} vectors of ${String(dimension)} dimensions take ${String(expectedBytes)}`,
      );
    try {
      const faiss = await loadFaiss();
      const index =
        'open' in faiss.Index ? await faiss.Index.open(path, mapFrom) : faiss.Index.read(path);
      return new VectorIndex(index, { dimension, metric, type: typeName(fourcc) });
    } catch (cause) {
      const unserved = whyNotServed(cause);
      throw unserved === undefined
        ? refuse('it is damaged, ends too early, or is of a type that faiss does not know', cause)
        : new AppError('index_unreadable', `${path} ${unserved}`, { cause });
    }
  }

  /**
   * Creates an empty index.
   *
   * @param options.type a FAISS factory string, e.g. `Flat` (the default), `SQ8`, `HNSW32`
   * @throws AppError `invalid_parameter` if faiss does not know the type, or it cannot be served
   */
  static async create(options: { dimension: number; metric: Metric; type?: string }) {
    const { dimension, metric, type = 'Flat' } = options;
    const faiss = await loadFaiss();
    const metricType =
      metric === 'l2' ? faiss.MetricType.METRIC_L2 : faiss.MetricType.METRIC_INNER_PRODUCT;
    try {
      const index = faiss.Index.fromFactory(dimension, type, metricType);
      return new VectorIndex(index, { dimension, metric, type });
    } catch (cause) {
      const unserved = whyNotServed(cause);
      const why =
        unserved === undefined
          ? `FAISS knows no index of type ${type}.`
          : `An index of type ${type} ${unserved}`;
      throw new AppError('invalid_parameter', why, { cause });
    }
  }

  /**
   * The ids of the vectors in the file, by place (`IndexIDMap`, `add_with_ids`); `undefined` if it has none, in which
   * case place i is row i.
   */
  get ids(): Float64Array | undefined {
    return 'ids' in this.#index ? this.#index.ids() : undefined;
  }

  /** Sets the row of each place in the file; from then on every method uses these rows. */
  setRows(rowAt: Int32Array): void {
    const placeOf = new Uint32Array(rowAt.length);
    for (const [place, row] of rowAt.entries()) placeOf[row] = place;
    this.#order = { rowAt, placeOf };
  }

  /** Whether places in the file differ from rows: such an index can be served, but not changed. */
  get hasOwnOrder(): boolean {
    return this.#order !== undefined;
  }

  /** Whether the vectors are stored unchanged, not as codes that approximate them. */
  get exact(): boolean {
    return /^(Flat|HNSW|IVF|HNSW\d*(,Flat)?|IVF\d+(_HNSW\d+)?,Flat)$/.test(this.type);
  }

  /** Scales every vector to length 1. @returns `false` if the type does not store vectors unchanged */
  async normalise(): Promise<boolean> {
    return 'normalise' in this.#index && (await this.#index.normalise());
  }

  /**
   * Frees the vectors now instead of at garbage collection; queued searches are run first. No other method may be
   * called afterwards.
   */
  dispose(): void {
    this.#disposed = true;
    if ('dispose' in this.#index && !this.#searching) this.#index.dispose();
  }

  /** Number of vectors. */
  get size(): number {
    return this.#index.ntotal();
  }

  /** Whether {@link train} must be called before {@link add}. */
  get needsTraining(): boolean {
    return !this.#index.isTrained();
  }

  /**
   * Trains an index whose type requires it, in a separate thread; does nothing for others.
   *
   * @param vectors `Float32Array` of n × dimension; must not be changed meanwhile
   * @param signal ends the training early; it rejects with the signal's abort reason
   * @throws AppError `invalid_parameter` if there are too few vectors
   */
  async train(vectors: Float32Array, signal?: AbortSignal): Promise<void> {
    if (!this.needsTraining) return;
    const faiss = await loadFaiss();
    signal?.throwIfAborted();
    const interrupt = () => {
      if ('interruptTraining' in faiss.Index) faiss.Index.interruptTraining();
    };
    signal?.addEventListener('abort', interrupt);
    try {
      await this.#index.train(vectors);
    } catch (cause) {
      signal?.throwIfAborted();
      throw new AppError(
        'invalid_parameter',
        `${String(vectors.length / this.dimension)} vectors are too few for an index of type ${this.type}: take one with fewer cells or codes.`,
        { cause },
      );
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  /**
   * Appends vectors, which get the rows from `size` on. An index that requires training must have been trained.
   *
   * @param vectors `Float32Array` of n × dimension
   */
  add(vectors: Float32Array): void {
    if (vectors.length % this.dimension !== 0)
      throw new RangeError(
        `Expected a multiple of ${String(this.dimension)} floats but received ${String(vectors.length)}.`,
      );
    this.#index.add(vectors);
  }

  /**
   * Finds the nearest rows: the best `k` of all, or exactly the best `k` of those given (of many in a refined index
   * nearly: docs/index-types.md); all of them if there are fewer. Runs in a separate thread; the index cannot be changed
   * meanwhile. Searches of all rows that are queued during another one are batched into one pass over the vectors.
   *
   * @param query `Float32Array` of `dimension`, finite
   * @param k an integer of 1 or more
   * @param among the rows to search, or a bit for each row, the lowest bit of a byte first; default: all
   * @param signal cancels a search that is still queued; it rejects with the signal's abort reason
   * @throws RangeError if the query has another length, or values that are not finite
   */
  async search(
    query: Float32Array,
    k: number,
    among?: Uint32Array | Uint8Array,
    signal?: AbortSignal,
  ): Promise<Neighbours> {
    if (this.#disposed) throw new Error('The index was disposed of.');
    if (query.length !== this.dimension)
      throw new RangeError(
        `Expected a query of ${String(this.dimension)} dimensions but received ${String(query.length)}.`,
      );
    if (!query.every(Number.isFinite))
      throw new RangeError('Expected a query of finite numbers but received NaN or infinity.');
    if (!('nearest' in this.#index)) return this.#searchPrebuilt(query, k, among);
    const rowAt = this.#order?.rowAt;
    const { labels, distances } = among
      ? await this.#index.nearest(query, k, this.#placesOf(among))
      : await new Promise<TypedSearchResult>((resolve, reject) => {
          this.#asked.push({ query: query.slice(), k, signal, resolve, reject });
          if (!this.#searching) void this.#pass();
        });
    return { rows: rowAt ? labels.map((place) => rowAt[place] ?? -1) : labels, distances };
  }

  #placesOf<T extends Uint32Array | Uint8Array>(among: T): T;
  #placesOf(among: Uint32Array | Uint8Array): Uint32Array | Uint8Array {
    const order = this.#order;
    if (!order) return among;
    if (among instanceof Uint8Array) {
      const bits = new Uint8Array(among.length);
      for (let row = 0; row < order.placeOf.length; row += 1) {
        if (!bitAt(among, row)) continue;
        const place = order.placeOf[row] ?? 0;
        bits[place >> 3] = (bits[place >> 3] ?? 0) | (1 << (place & 7));
      }
      return bits;
    }
    return among.map((row) => order.placeOf[row] ?? row);
  }

  /** Runs passes over the vectors, each for the searches queued meanwhile, until the queue is empty. */
  async #pass(): Promise<void> {
    const { dimension } = this;
    this.#searching = true;
    for (;;) {
      const together: Asked[] = [];
      while (together.length < mostTogether) {
        const next = this.#asked.shift();
        if (!next) break;
        if (next.signal?.aborted) next.reject(next.signal.reason);
        else together.push(next);
      }
      if (together.length === 0) break;
      const queries = new Float32Array(together.length * dimension);
      for (const [i, { query }] of together.entries()) queries.set(query, i * dimension);
      try {
        const most = Math.max(...together.map(({ k }) => k));
        const { labels, distances } = await this.#index.nearest(queries, most);
        const width = labels.length / together.length;
        for (const [i, { k, resolve }] of together.entries()) {
          const at = i * width;
          const found = labels.subarray(at, at + Math.min(k, width));
          const none = found.indexOf(-1);
          const count = none < 0 ? found.length : none;
          resolve({ labels: found.slice(0, count), distances: distances.slice(at, at + count) });
        }
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.#searching = false;
    if (this.#disposed) this.dispose();
  }

  /**
   * Searches with upstream's prebuilt binding, which supports neither rows nor typed arrays: with `among`, it requests
   * all and filters the result.
   */
  #searchPrebuilt(query: Float32Array, k: number, among?: Uint32Array | Uint8Array): Neighbours {
    const rows = among && !(among instanceof Uint8Array) ? new Set(among) : undefined;
    const allowed = (row: number) =>
      among instanceof Uint8Array ? bitAt(among, row) : rows?.has(row) !== false;
    const asked = among ? this.size : Math.min(k, this.size);
    const found = this.#index.search([...query], asked);
    const kept = found.labels
      .map((row, i) => ({ row, distance: found.distances[i] ?? NaN }))
      .filter(({ row }) => row >= 0 && allowed(row))
      .slice(0, k);
    return {
      rows: Int32Array.from(kept, ({ row }) => row),
      distances: Float32Array.from(kept, ({ distance }) => distance),
    };
  }

  /** Whether {@link vectorOf} works: not with upstream's prebuilt binding. */
  get givesVectors(): boolean {
    return 'reconstruct' in this.#index;
  }

  /**
   * The vector of a row, as the index stores it (an approximation if its type compresses).
   *
   * @returns `Float32Array` of `dimension`
   * @throws AppError `index_unreadable` with upstream's prebuilt binding, which cannot return vectors
   */
  vectorOf(row: number): Float32Array {
    if (!('reconstruct' in this.#index))
      throw new AppError(
        'index_unreadable',
        'The FAISS binding is not built here, so vectors cannot be read back: install FAISS and run npm run setup.',
      );
    return this.#index.reconstruct(this.#order?.placeOf[row] ?? row);
  }

  /** Lengths (L2 norms) of some rows' vectors, as {@link vectorOf} returns them; computed in a separate thread. */
  lengthsOf(rows: Uint32Array): Promise<Float64Array> {
    return this.#index.lengths(this.#placesOf(rows));
  }

  /** Converts a distance of this index to a cosine (-1 to 1), for vectors of length 1. */
  similarity(distance: number): number {
    // |a - b|² = 2 - 2 cos(a, b)
    const cosine = this.metric === 'inner_product' ? distance : 1 - distance / 2;
    return Math.max(-1, Math.min(1, cosine)); // codes and float32 are approximate
  }

  /**
   * Writes the index to a temporary file in the same folder and renames it, so that a full disk or a killed process
   * leaves the previous file intact.
   *
   * @throws Error that names the file and the reason, e.g. that no space is left
   */
  async write(path: string): Promise<void> {
    const beside = nameBeside(path);
    try {
      try {
        this.#index.write(beside);
      } catch (error) {
        const reason = error instanceof Error ? error.message : 'unknown error';
        throw new Error(`${path} could not be written: ${reason}`, { cause: error });
      }
      await rename(beside, path);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  }

  /**
   * Removes rows; those after them move up. Only if {@link removesRows}.
   *
   * @returns the number of rows removed
   */
  remove(rows: readonly number[]): number {
    return this.#index.removeIds([...rows]);
  }

  /** Whether rows can be removed in place: only in types that store plain codes in row order. */
  get removesRows(): boolean {
    return /^(Flat|SQ)/.test(this.type);
  }

  /** Number of cells of an inverted file; 0 if the index has none. */
  get cells(): number {
    return 'cells' in this.#index ? this.#index.cells() : 0;
  }

  /** Number of cells that a search visits; 0 if the index has no cells. */
  get probes(): number {
    return 'probes' in this.#index ? this.#index.probes() : 0;
  }

  set probes(count: number) {
    this.#index.probes(count);
  }

  /** Candidates that a search in a graph (HNSW) keeps, FAISS's `efSearch`; 0 if the index has no graph. */
  get breadth(): number {
    return 'breadth' in this.#index ? this.#index.breadth() : 0;
  }

  set breadth(count: number) {
    this.#index.breadth(count);
  }

  /** Candidates for each result that are compared with the refined vectors, FAISS's `k_factor`; 0 if it has none. */
  get candidates(): number {
    return 'candidates' in this.#index ? this.#index.candidates() : 0;
  }

  set candidates(count: number) {
    this.#index.candidates(count);
  }
}
