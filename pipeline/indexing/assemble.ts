import { setImmediate as nextTurn } from 'node:timers/promises';
import { VectorIndex } from '../../lib/vectors/vector-index.ts';
import { writeFlatIndex } from './flat-file.ts';
import { digestFile, type Manifest } from '../../lib/assets/manifest.ts';

export type AssembleEvent =
  | { type: 'indexing'; indexType: string; vectors: number }
  | {
      type: 'measured';
      indexType: string;
      bytes: number;
      /** Size of the vectors without compression. */
      flatBytes: number;
      /** Share of the true ten nearest that a search finds, on a sample; `null` for an exact index. */
      recallAt10: number | null;
      sample: number;
    };

/** Vectors added per turn of the event loop. */
const addedAtOnce = 256;

export interface AssembleOptions {
  /** The vectors in blocks of n × dimension; called once per pass over them. */
  vectors: () => AsyncIterable<Float32Array>;
  dimension: number;
  /** Number of vectors. */
  size: number;
  /** FAISS factory string. */
  type: string;
  probes?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Number of queries that measure recall. */
const sampleSize = 200;
const depth = 10;

/**
 * Writes an index of the vectors. A flat index is streamed to the disk. Any other type is trained on all vectors, and
 * its size and recall are reported.
 *
 * @param path written in place
 * @throws Error if FAISS does not know the type or has too few vectors to train it, or the disk is full
 */
export async function* assembleIndex(
  path: string,
  options: AssembleOptions,
): AsyncGenerator<AssembleEvent, Manifest['index']> {
  const { vectors, dimension, size, type } = options;
  yield { type: 'indexing', indexType: type, vectors: size };
  const flatBytes = 4 * dimension * size;
  let recallAt10: number | null = null;
  let sample = 0;
  if (type === 'Flat') await writeFlatIndex(path, { dimension, size }, vectors());
  else {
    const all = await gather(vectors(), size * dimension);
    const index = await makeIndex(all, options);
    await index.write(path);
    ({ recallAt10, sample } = await measureRecall(index, all));
  }
  const { bytes } = await digestFile(path);
  yield { type: 'measured', indexType: type, bytes, flatBytes, recallAt10, sample };
  return { type, metric: 'inner_product', dimension, vectors: size };
}

async function gather(blocks: AsyncIterable<Float32Array>, length: number): Promise<Float32Array> {
  const all = new Float32Array(length);
  let at = 0;
  for await (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  if (at !== length)
    throw new Error(`Expected ${String(length)} numbers in the journal but read ${String(at)}`);
  return all;
}

/** Trains on all vectors and adds them one by one: HNSW would insert a batch in no fixed order. */
async function makeIndex(
  all: Float32Array,
  { dimension, type, probes, signal }: AssembleOptions,
): Promise<VectorIndex> {
  const index = await VectorIndex.create({ dimension, metric: 'inner_product', type });
  index.train(all);
  for (let row = 0; row * dimension < all.length; row += 1) {
    if (row % addedAtOnce === 0) {
      await nextTurn(); // of the event loop, so that Ctrl-C is handled
      signal?.throwIfAborted();
    }
    index.add(all.subarray(row * dimension, (row + 1) * dimension));
  }
  const cells = /IVF(\d+)/.exec(type)?.[1];
  if (cells !== undefined) index.probes = probes ?? Math.max(1, Math.round(Number(cells) / 16));
  return index;
}

/** Share of the true ten nearest of a sample of vectors that the index finds. */
async function measureRecall(
  index: VectorIndex,
  all: Float32Array,
): Promise<{ recallAt10: number; sample: number }> {
  const { dimension } = index;
  const exact = await VectorIndex.create({ dimension, metric: 'inner_product' });
  exact.add(all);
  const size = all.length / dimension;
  const sample = Math.min(sampleSize, size);
  let found = 0;
  let asked = 0;
  for (let i = 0; i < sample; i += 1) {
    const row = Math.floor((i * size) / sample);
    const query = all.subarray(row * dimension, (row + 1) * dimension);
    const nearest = new Set((await exact.search(query, depth)).rows);
    asked += nearest.size;
    for (const one of (await index.search(query, depth)).rows) if (nearest.has(one)) found += 1;
  }
  return { recallAt10: asked === 0 ? 1 : found / asked, sample };
}
