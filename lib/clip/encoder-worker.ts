import { workerData } from 'node:worker_threads';
import pLimit from 'p-limit';
import { toPlainError, type PlainError } from '../errors.ts';
import { lazy } from '../lazy.ts';
import { createImageEncoder } from './image-encoder.ts';
import type { ClipDtype, Tower } from './model-files.ts';
import { createTextEncoder } from './text-encoder.ts';

/** What a worker is started with. */
export interface EncoderTask {
  tower: Tower;
  modelDir: string;
  dtype: ClipDtype | undefined;
  /** Largest picture to decode, in pixels. */
  maxPixels: number | undefined;
  /** Threads for one run of the model. */
  threads: number;
  /** Whether they spin while they wait for their share of it: beside other workers they would take time from those. */
  spin: boolean;
}

/** Of the tower: an encoded picture, or a text. */
export type Query = Uint8Array | string;

/** A query's embedding, or why it has none. */
export type Outcome = Float32Array | PlainError;

/** What a tower says of itself once it is loaded. */
export interface LoadedTower {
  dtype: ClipDtype;
  dimension: number;
}

/**
 * Pictures that a worker decodes at a time: each may hold many megapixels. The decoder has threads of its own, so that
 * they also go on while the model runs.
 */
const decodesAtATime = 2;

const { tower, modelDir, dtype, maxPixels, ...run } = workerData as EncoderTask;

const openTower = {
  vision: async () => {
    const encoder = await createImageEncoder({ modelDir, dtype, maxPixels, run });
    const limit = pLimit(decodesAtATime);
    const decode = (picture: Uint8Array) =>
      limit(() => encoder.preprocess(asBuffer(picture))).catch(toPlainError);
    return {
      encoder,
      encodeBatch: async (pictures: readonly Query[]): Promise<Outcome[]> => {
        const decoded = await Promise.all((pictures as readonly Uint8Array[]).map(decode));
        const embeddings = await encoder.embedBatch(decoded.filter(isVector));
        return decoded.map((one) => (isVector(one) ? (embeddings.shift() ?? one) : one));
      },
    };
  },
  text: async () => {
    const encoder = await createTextEncoder({ modelDir, dtype, threads: run.threads });
    return {
      encoder,
      encodeBatch: (texts: readonly Query[]): Promise<Outcome[]> =>
        encoder.encodeBatch(texts as readonly string[]),
    };
  },
};

const opened = lazy<Awaited<ReturnType<(typeof openTower)[Tower]>>>(openTower[tower]);

/** Loads the tower. @returns what it is, or why it can't be loaded */
export const load = (): Promise<LoadedTower | PlainError> =>
  opened().then(({ encoder: { dtype, dimension } }) => ({ dtype, dimension }), toPlainError);

/**
 * Encodes queries together; by themselves where that fails, so that none fails for another's sake.
 *
 * @returns an outcome for each query, in the same order
 */
export const encode = async (queries: readonly Query[]): Promise<Outcome[]> => {
  try {
    const { encodeBatch } = await opened();
    return await encodeBatch(queries);
  } catch (error) {
    if (queries.length === 1) return [toPlainError(error)];
    return (await Promise.all(queries.map((query) => encode([query])))).flat();
  }
};

const isVector = (outcome: Outcome): outcome is Float32Array => outcome instanceof Float32Array;

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
