import { setImmediate as nextTurn } from 'node:timers/promises';
import { sampleQueries } from '../../lib/vectors/sample-queries.ts';
import { VectorIndex } from '../../lib/vectors/vector-index.ts';
import { digestFile, type Manifest } from '../../lib/assets/manifest.ts';
import { ExactNearest } from './exact-nearest.ts';
import { writeFlatIndex } from './flat-file.ts';
import {
  chooseEffort,
  depth,
  measureSearch,
  parametersOf,
  targetRecall,
  type SearchParameters,
} from './search-effort.ts';

export type AssembleEvent =
  | { type: 'indexing'; indexType: string; vectors: number }
  | { type: 'training'; indexType: string; sample: number }
  | { type: 'indexed'; done: number; total: number }
  | {
      type: 'measured';
      indexType: string;
      bytes: number;
      /** Size of the vectors without compression. */
      flatBytes: number;
      /** Share of the true ten nearest that a search finds, on a sample; `null` for an exact index. */
      recallAt10: number | null;
      sample: number;
      /** Median duration of these searches. */
      milliseconds?: number;
      search?: SearchParameters;
    };

export interface AssembleOptions {
  /** The vectors in blocks of n × dimension; called once per pass over them. */
  vectors: () => AsyncIterable<Float32Array>;
  dimension: number;
  /** Number of vectors. */
  size: number;
  /** FAISS factory string, or `auto`: see {@link typesFor}. */
  type: string;
  /** Cells of an inverted file that a search visits. Default: as many as a recall of 0.99 requires. */
  probes?: number | undefined;
  /** Largest number of vectors for which `auto` chooses `Flat`. */
  flatUpTo?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Here `Flat` takes 205 MB, and a search about 10 ms on two cores. */
const usuallyFlatUpTo = 100_000;
/** Number of queries that measure recall. */
const sampleSize = 200;
/** Most vectors to train on. FAISS wants 39 to 256 per cell: here they are 64 per cell at a million vectors. */
const mostTrained = 262_144;
/** Vectors added at a time, whose cells FAISS finds by one matrix product. Takes about 0.2 s at 4,096 cells. */
const addedAtOnce = 4096;

/** Share of the dimensions that candidates are chosen by: those of the largest variance (PCA). */
const projected = 1 / 4;
/** Candidates for each result, which are compared with the vectors in 16 bits. */
const candidates = 16;

/**
 * What `auto` builds: the first of these types whose recall is sufficient. `Flat` for few vectors; for more, an inverted
 * file with about 4√n cells, as FAISS's guidelines have it. It chooses candidates by a quarter of the dimensions in codes
 * of 8 bits, and compares them with the vectors in 16 bits; or it has the vectors as floats, if those are too coarse.
 */
export function typesFor(
  type: string,
  { size, dimension, flatUpTo = usuallyFlatUpTo }: Omit<AssembleOptions, 'type' | 'vectors'>,
): string[] {
  if (type !== 'auto') return [type];
  if (size <= flatUpTo) return ['Flat'];
  const cells = String(2 ** Math.round(Math.log2(4 * Math.sqrt(size))));
  const axes = String(Math.ceil(projected * dimension));
  return [`PCA${axes},IVF${cells},SQ8,Refine(SQfp16)`, `IVF${cells},Flat`];
}

/**
 * Writes an index of the vectors. A flat index is streamed to the disk. Any other type is trained on a sample and filled
 * in blocks, so that besides the sample only the index is in memory; the effort of a search is chosen by measurement.
 * The same vectors give the same file.
 *
 * @param path written in place
 * @throws Error if FAISS does not know the type or has too few vectors to train it, or the disk is full; the signal's
 *   abort reason
 */
export async function* assembleIndex(
  path: string,
  options: AssembleOptions,
): AsyncGenerator<AssembleEvent, Manifest['index']> {
  const { dimension, size } = options;
  const types = typesFor(options.type, options);
  for (;;) {
    const type = types.shift() ?? 'Flat';
    yield { type: 'indexing', indexType: type, vectors: size };
    const measured =
      type === 'Flat' ? await writeFlat(path, options) : yield* writeTrained(path, type, options);
    const { bytes } = await digestFile(path);
    yield {
      type: 'measured',
      indexType: type,
      bytes,
      flatBytes: 4 * dimension * size,
      ...measured,
    };
    const { recallAt10, search } = measured;
    if (types.length > 0 && recallAt10 !== null && recallAt10 < targetRecall) continue;
    return {
      ...{ type, metric: 'inner_product', dimension, vectors: size },
      ...(search && { search }),
      ...(recallAt10 !== null && { recallAt10 }),
    };
  }
}

type Measured = Pick<
  Extract<AssembleEvent, { type: 'measured' }>,
  'recallAt10' | 'sample' | 'milliseconds' | 'search'
>;

async function writeFlat(path: string, options: AssembleOptions): Promise<Measured> {
  await writeFlatIndex(path, options, options.vectors());
  return { recallAt10: null, sample: 0 };
}

/** Two passes over the vectors: one for the sample, one to add them and to find the queries' true nearest. */
async function* writeTrained(
  path: string,
  type: string,
  options: AssembleOptions,
): AsyncGenerator<AssembleEvent, Measured> {
  const { vectors, dimension, size, probes, signal } = options;
  const index = await VectorIndex.create({ dimension, metric: 'inner_product', type });
  const count = Math.min(size, mostTrained);
  const sample = await sampleOf(vectors(), { count, size, dimension });
  const queries = sampleQueries(Math.min(sampleSize, size), (share) => {
    const at = Math.floor(share * count) * dimension;
    return sample.subarray(at, at + dimension);
  });
  if (index.needsTraining) {
    yield { type: 'training', indexType: type, sample: count };
    await index.train(sample, signal);
  }
  const exact = new ExactNearest(queries, depth);
  for await (const block of inBlocks(vectors(), addedAtOnce * dimension)) {
    await exact.add(block, dimension);
    for await (const part of insertable(type, block, dimension)) {
      signal?.throwIfAborted();
      index.add(part);
    }
    yield { type: 'indexed', done: index.size, total: size };
  }
  if (index.size !== size)
    throw new RangeError(`Expected ${String(size)} vectors but received ${String(index.size)}.`);
  if (index.candidates > 0) index.candidates = candidates;
  if (probes === undefined) await chooseEffort(index, queries, exact.rows);
  else index.probes = probes;
  const { recall, milliseconds } = await measureSearch(index, queries, exact.rows);
  const search = parametersOf(index);
  await index.write(path);
  index.dispose();
  return {
    ...{ recallAt10: recall, sample: queries.length, milliseconds },
    ...(search && { search }),
  };
}

/** Vectors at even distances. @returns `count` × dimension floats */
async function sampleOf(
  blocks: AsyncIterable<Float32Array>,
  { count, size, dimension }: { count: number; size: number; dimension: number },
): Promise<Float32Array> {
  const sample = new Float32Array(count * dimension);
  let row = 0;
  let taken = 0;
  for await (const block of blocks)
    for (let at = 0; at < block.length; at += dimension) {
      if (row === Math.floor((taken * size) / count)) {
        sample.set(block.subarray(at, at + dimension), taken * dimension);
        taken += 1;
      }
      row += 1;
    }
  return sample;
}

/** Joins blocks into ones of `length` floats; the last may be shorter. Each is valid until the next. */
async function* inBlocks(
  blocks: AsyncIterable<Float32Array>,
  length: number,
): AsyncGenerator<Float32Array> {
  const joined = new Float32Array(length);
  let filled = 0;
  for await (let block of blocks)
    while (block.length > 0) {
      const part = block.subarray(0, length - filled);
      joined.set(part, filled);
      filled += part.length;
      block = block.subarray(part.length);
      if (filled < length) continue;
      yield joined;
      filled = 0;
    }
  if (filled > 0) yield joined.subarray(0, filled);
}

/** Vectors inserted into a graph per turn of the event loop. */
const insertedAtOnce = 64;

/** What to add at a time: a graph is given one vector after another, since FAISS inserts several in no fixed order. */
async function* insertable(
  type: string,
  block: Float32Array,
  dimension: number,
): AsyncGenerator<Float32Array> {
  await nextTurn(); // of the event loop, so that Ctrl-C is handled
  if (!type.includes('HNSW')) {
    yield block;
    return;
  }
  for (let at = 0; at < block.length; at += dimension) {
    yield block.subarray(at, at + dimension);
    if ((at / dimension) % insertedAtOnce === 0) await nextTurn();
  }
}
