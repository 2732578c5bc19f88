import { workerData } from 'node:worker_threads';
import pLimit from 'p-limit';
import { toPlainError, type PlainError } from '../errors.ts';
import { featuresOfGrey, type Amount, type PictureFeatures } from '../identify/features.ts';
import { lazy } from '../concurrency/lazy.ts';
import { createImageEncoder, type ImageEncoderOptions } from './image-encoder.ts';
import type { ClipDtype, Tower } from './model-files.ts';
import type { RunOptions } from './onnx.ts';
import { createTextEncoder } from './text-encoder.ts';

/** The worker's `workerData`. */
export interface EncoderTask extends ImageEncoderOptions {
  tower: Tower;
  run: RunOptions;
}

/** An encoded picture whose features are needed in addition to its embedding. */
export interface Photo {
  picture: Uint8Array;
  amount: Amount;
}

/** An encoded picture or a text, depending on the tower. */
export type Query = Uint8Array | string | Photo;

export interface EncodedPhoto {
  embedding: Float32Array;
  features: PictureFeatures;
}

/** The result for a query: its embedding; for a photo also its features. */
export type Encoded<Q extends Query = Query> = Q extends Photo ? EncodedPhoto : Float32Array;

/** The result for a query, or the error. */
export type Outcome<Q extends Query = Query> = Encoded<Q> | PlainError;

/** Properties of a loaded tower. */
export interface LoadedTower {
  dtype: ClipDtype;
  dimension: number;
}

/**
 * Pictures decoded concurrently per worker: each may have many megapixels. The decoder has its own threads, so decoding
 * continues while the model runs.
 */
const decodesAtATime = 2;

const task = workerData as EncoderTask;

const openTower = {
  vision: async () => {
    const encoder = await createImageEncoder(task);
    const limit = pLimit(decodesAtATime);
    /** Makes a picture ready for the model; its features are extracted while the model runs. */
    const decode = async (query: Query) => {
      if (!isPhoto(query))
        return { pixels: await encoder.preprocess(asBuffer(query as Uint8Array)) };
      const { side, features: most } = query.amount;
      const { pixels, grey } = await encoder.preprocessWithGrey(asBuffer(query.picture), side);
      const features = featuresOfGrey(grey, most);
      features.catch(() => undefined); // reported where it is awaited
      return { pixels, features };
    };
    return {
      encoder,
      encodeBatch: async (queries: readonly Query[]): Promise<Outcome[]> => {
        const decoded = await Promise.all(
          queries.map((query) => limit(() => decode(query)).catch(toPlainError)),
        );
        const embeddings = await encoder.embedBatch(
          decoded.flatMap((one) => ('pixels' in one ? [one.pixels] : [])),
        );
        return Promise.all(
          decoded.map(async (one) => {
            if ('message' in one) return one;
            const embedding = embeddings.shift();
            if (!embedding) throw new Error('The model gave fewer embeddings than pictures');
            const features = await one.features;
            return features ? { embedding, features } : embedding;
          }),
        );
      },
    };
  },
  text: async () => {
    const encoder = await createTextEncoder(task);
    const encodeBatch = (texts: readonly Query[]): Promise<Outcome[]> =>
      encoder.encodeBatch(texts as readonly string[]);
    return { encoder, encodeBatch };
  },
};

const opened = lazy<Awaited<ReturnType<(typeof openTower)[Tower]>>>(openTower[task.tower]);

/** Loads the tower. @returns its properties, or the error */
export const load = (): Promise<LoadedTower | PlainError> =>
  opened().then(({ encoder: { dtype, dimension } }) => ({ dtype, dimension }), toPlainError);

/**
 * Encodes queries together, or one by one if that fails, so that none fails because of another.
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

const isPhoto = (query: Query): query is Photo => typeof query === 'object' && 'amount' in query;

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
