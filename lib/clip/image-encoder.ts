import { AppError } from '../errors.ts';
import { decodeForModel, decodeForModelAndGrey, type Grey } from '../imaging/raster.ts';
import { probeDimension, unitRows } from './embedding.ts';
import { readClipConfig } from './model-config.ts';
import { findTower, type ClipDtype } from './model-files.ts';
import { OnnxGraph, type Feeds, type RunOptions } from './onnx.ts';
import { readPreprocessor, toPlanes, type Preprocessor } from './preprocess.ts';

export interface ImageEncoderOptions {
  /** Folder of the model, in one of the layouts of `model-files.ts`. */
  modelDir: string;
  /** Default: the first of fp32, fp16, q8 that is present. */
  dtype?: ClipDtype | undefined;
  /** Largest picture to decode, in pixels. Default: 64 million. */
  maxPixels?: number | undefined;
  /** Default: tuned for one picture at a time. */
  run?: Partial<RunOptions>;
}

const input = 'pixel_values';

/** CLIP's image tower: turns an encoded picture into a unit vector. Created by {@link createImageEncoder}. */
export class ImageEncoder {
  /** Length of every embedding. */
  readonly dimension: number;
  readonly dtype: ClipDtype;
  readonly #graph: OnnxGraph;
  readonly #preprocessor: Preprocessor;
  readonly #maxPixels: number | undefined;

  constructor(parts: {
    graph: OnnxGraph;
    preprocessor: Preprocessor;
    dimension: number;
    dtype: ClipDtype;
    maxPixels: number | undefined;
  }) {
    this.dimension = parts.dimension;
    this.dtype = parts.dtype;
    this.#graph = parts.graph;
    this.#preprocessor = parts.preprocessor;
    this.#maxPixels = parts.maxPixels;
  }

  /**
   * @param picture an encoded picture, in one of `acceptedFormats`
   * @returns `Float32Array` of `dimension`, L2-normalised
   * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `image_too_large`
   */
  async encode(picture: Buffer): Promise<Float32Array> {
    return this.embed(await this.preprocess(picture));
  }

  /**
   * The first step of {@link encode}, run on other threads: call it for the next picture while one is embedded.
   *
   * @returns `Float32Array` [3, size, size], as specified by `preprocessor_config.json`
   * @throws as {@link encode}
   */
  async preprocess(picture: Buffer): Promise<Float32Array> {
    return toPlanes(await decodeForModel(picture, this.#decoding), this.#preprocessor);
  }

  /**
   * Like {@link preprocess}, but also returns the picture in grey, decoding it only once if possible.
   *
   * @param side edge in pixels of the square that the grey picture fits into
   */
  async preprocessWithGrey(
    picture: Buffer,
    side: number,
  ): Promise<{ pixels: Float32Array; grey: Grey }> {
    const { rgb, grey } = await decodeForModelAndGrey(picture, { ...this.#decoding, side });
    return { pixels: toPlanes(rgb, this.#preprocessor), grey };
  }

  get #decoding() {
    return {
      frame: this.#preprocessor.frame,
      ...(this.#maxPixels !== undefined && { maxPixels: this.#maxPixels }),
    };
  }

  /**
   * @param pixels output of {@link preprocess}
   * @returns `Float32Array` of `dimension`, L2-normalised
   */
  async embed(pixels: Float32Array): Promise<Float32Array> {
    const [embedding] = await this.embedBatch([pixels]);
    if (embedding === undefined)
      throw new AppError('internal_error', 'The model gave no embedding.');
    return embedding;
  }

  /**
   * Embeds several pictures in one run: from about 4 on, each takes a third less time; beyond 8 nothing more is gained.
   * A q8 graph quantises the whole batch on one scale, so its embeddings differ from single ones as much as from fp32's
   * (cosine 0.9999).
   *
   * @param pixels outputs of {@link preprocess}, one per picture
   * @returns one embedding per picture, in the same order
   */
  async embedBatch(pixels: readonly Float32Array[]): Promise<Float32Array[]> {
    // An export may have a fixed batch size of one; with a larger fixed size, the trial run has failed.
    const batch = this.#graph.fixedAxis(input, 0) ?? Math.max(pixels.length, 1);
    const embeddings: Float32Array[] = [];
    for (let from = 0; from < pixels.length; from += batch)
      embeddings.push(
        ...unitRows(
          await this.#graph.run(
            feedsOf(pixels.slice(from, from + batch), this.#preprocessor.frame.crop),
          ),
        ),
      );
    return embeddings;
  }

  /** Frees the model's memory; the encoder cannot be used afterwards. */
  dispose(): Promise<void> {
    return this.#graph.release();
  }
}

function feedsOf(pixels: readonly Float32Array[], size: number): Feeds {
  const length = 3 * size * size;
  const [only] = pixels;
  const values = pixels.length === 1 && only ? only : new Float32Array(length * pixels.length);
  if (values !== only) for (const [i, planes] of pixels.entries()) values.set(planes, i * length);
  return { [input]: { kind: 'float', values, shape: [pixels.length, 3, size, size] } };
}

/** Arbitrary pixel values for the trial run: -1 to 1. */
const trialPixels = (size: number): Float32Array =>
  Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i));

/**
 * Loads the image tower and runs it once. Reads only this tower's files (`model-files.ts`), usually `config.json`,
 * `preprocessor_config.json` and `onnx/vision_model*.onnx`.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function createImageEncoder(options: ImageEncoderOptions): Promise<ImageEncoder> {
  const { modelDir, maxPixels } = options;
  const tower = await findTower(modelDir, 'vision', options.dtype);
  const { path, dtype } = tower;
  const [sideFile] = tower.side;
  const preprocessor = await readPreprocessor(modelDir, sideFile);
  const config = await readClipConfig(modelDir, tower.config, 'vision');
  const graph = await OnnxGraph.open(path, {
    required: input,
    axes: 4,
    optional: [],
    output: 'image_embeds',
    run: options.run,
  });
  const size = preprocessor.frame.crop;
  try {
    const expected = graph.fixedAxis(input, 2) ?? size;
    if (expected !== size)
      throw new AppError(
        'model_unreadable',
        `${path} takes pictures of ${String(expected)} pixels but ${sideFile} makes them ${String(size)}.`,
      );
    const trial = feedsOf([trialPixels(size)], size);
    const dimension = await probeDimension(graph, trial, config.dimension);
    return new ImageEncoder({ graph, preprocessor, dimension, dtype, maxPixels });
  } catch (error) {
    await graph.release();
    throw error;
  }
}
