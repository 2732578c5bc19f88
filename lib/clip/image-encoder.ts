import { AppError } from '../errors.ts';
import { decodeForModel, decodeForModelAndGrey } from '../imaging/raster.ts';
import { openTower, type EncoderOptions } from './embedding.ts';
import { readClipConfig } from './model-config.ts';
import { findTower } from './model-files.ts';
import type { Feeds } from './onnx.ts';
import { readPreprocessor, toPlanes } from './preprocess.ts';

export interface ImageEncoderOptions extends EncoderOptions {
  /** Largest picture to decode, in pixels. Default: 64 million. */
  maxPixels?: number | undefined;
}

const input = 'pixel_values';

/**
 * Loads CLIP's image tower, which turns an encoded picture into a unit vector, and runs it once. Reads only this tower's
 * files (`model-files.ts`), usually `config.json`, `preprocessor_config.json` and `onnx/vision_model*.onnx`.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function createImageEncoder(options: ImageEncoderOptions) {
  const { modelDir, maxPixels, run } = options;
  const { path, dtype, ...files } = await findTower(modelDir, 'vision', options.dtype);
  const [sideFile] = files.side;
  const preprocessor = await readPreprocessor(modelDir, sideFile);
  const config = await readClipConfig(modelDir, files.config, 'vision');
  const { frame } = preprocessor;
  const size = frame.crop;
  const contract = { required: input, axes: 4, optional: [], output: 'image_embeds', run };
  const tower = await openTower(path, contract, {
    declared: config.dimension,
    feedsOf: (pixels: readonly Float32Array[]) => feedsOf(pixels, size),
    trial: (graph) => {
      const expected = graph.fixedAxis(input, 2) ?? size;
      if (expected === size) return trialPixels(size);
      throw new AppError(
        'model_unreadable',
        `${path} takes pictures of ${String(expected)} pixels but ${sideFile} makes them ${String(size)}.`,
      );
    },
  });
  const decoding = { frame, ...(maxPixels !== undefined && { maxPixels }) };

  return {
    ...tower,
    dtype,

    /**
     * @param picture an encoded picture, in one of `acceptedFormats`
     * @returns `Float32Array` of `dimension`, L2-normalised
     * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `image_too_large`
     */
    async encode(picture: Buffer): Promise<Float32Array> {
      return tower.embed(await this.preprocess(picture));
    },

    /**
     * The first step of `encode`, the other being `embed`: runs on other threads, also while a picture is embedded.
     *
     * @returns `Float32Array` [3, size, size], as specified by `preprocessor_config.json`
     * @throws as `encode`
     */
    async preprocess(picture: Buffer): Promise<Float32Array> {
      return toPlanes(await decodeForModel(picture, decoding), preprocessor);
    },

    /**
     * Like `preprocess`, but also returns the picture in grey, decoding it only once if possible.
     *
     * @param side edge in pixels of the square that the grey picture fits into
     */
    async preprocessWithGrey(picture: Buffer, side: number) {
      const { rgb, grey } = await decodeForModelAndGrey(picture, { ...decoding, side });
      return { pixels: toPlanes(rgb, preprocessor), grey };
    },
  };
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
