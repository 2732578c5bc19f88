import { z } from 'zod';
import type { ModelFrame } from '../imaging/raster.ts';
import { readModelConfig } from './model-files.ts';

/** `PIL.Image.Resampling.BICUBIC`, the only filter that `lib/imaging` has. */
const bicubic = 3;

const edge = z.number().int().positive().max(4096);
const square = z
  .object({ height: edge, width: edge })
  .refine(({ height, width }) => height === width, { error: 'expected a square' });
const perChannel = z.tuple([z.number(), z.number(), z.number()]);

/** `preprocessor_config.json`; absent fields have the defaults of transformers' `CLIPImageProcessor`. */
const preprocessorConfig = z
  .object({
    do_resize: z.literal(true).default(true),
    size: z.union([edge, z.object({ shortest_edge: edge }), square]).default(224),
    resample: z
      .literal(bicubic, {
        error: `expected ${String(bicubic)} (bicubic), the only filter supported`,
      })
      .default(bicubic),
    do_center_crop: z.boolean().default(true),
    crop_size: z.union([edge, square]).optional(),
    do_rescale: z.boolean().default(true),
    rescale_factor: z
      .number()
      .positive()
      .default(1 / 255),
    do_normalize: z.boolean().default(true),
    image_mean: perChannel.default([0.48145466, 0.4578275, 0.40821073]),
    image_std: perChannel.default([0.26862954, 0.26130258, 0.27577711]),
  })
  .transform((config, context) => {
    const { size } = config;
    const keepsProportions = typeof size === 'number' || 'shortest_edge' in size;
    const resized =
      typeof size === 'number' ? size : 'height' in size ? size.height : size.shortest_edge;
    const { crop_size: cropSize = resized } = config;
    const cropped = typeof cropSize === 'number' ? cropSize : cropSize.height;
    const crop = config.do_center_crop ? cropped : resized;
    const frame: ModelFrame = {
      size: resized,
      crop,
      resize: keepsProportions ? 'shortest-edge' : 'exact',
    };
    if (crop > resized)
      context.addIssue({
        code: 'custom',
        path: ['crop_size'],
        message: `expected at most ${String(resized)}`,
      });
    if (keepsProportions && !config.do_center_crop)
      context.addIssue({ code: 'custom', path: ['do_center_crop'], message: 'expected true' });
    const scale = config.do_rescale ? config.rescale_factor : 1;
    const { mean, std } = config.do_normalize
      ? { mean: config.image_mean, std: config.image_std }
      : asIs;
    const table = (channel: 0 | 1 | 2) => valueTable(scale, mean[channel], std[channel]);
    return { frame, tables: [table(0), table(1), table(2)] as const };
  });

/** Mean and deviation that change nothing. */
const asIs = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** What a byte becomes in one channel. */
const valueTable = (scale: number, mean: number, std: number): Float32Array =>
  Float32Array.from({ length: 256 }, (_, byte) => (byte * scale - mean) / std);

/** How a model wants its pictures. */
export interface Preprocessor {
  frame: ModelFrame;
  /** One table a channel (R, G, B): the model's value for each of the 256 bytes. */
  tables: readonly [Float32Array, Float32Array, Float32Array];
}

/** @throws AppError `assets_missing` or `model_unreadable`, naming the file and the field */
export const readPreprocessor = (modelDir: string): Promise<Preprocessor> =>
  readModelConfig(modelDir, 'preprocessor_config.json', preprocessorConfig);

/**
 * @param rgb `crop` x `crop` x 3 bytes, rows from the top
 * @returns `Float32Array` [3, crop, crop]: planes R, G, B, rescaled and normalised
 */
export function toPlanes(rgb: Uint8Array, { frame, tables }: Preprocessor): Float32Array {
  const plane = frame.crop * frame.crop;
  const planes = new Float32Array(3 * plane);
  const [red, green, blue] = tables;
  for (let i = 0, from = 0; i < plane; i++, from += 3) {
    planes[i] = red[rgb[from] ?? 0] ?? 0;
    planes[plane + i] = green[rgb[from + 1] ?? 0] ?? 0;
    planes[2 * plane + i] = blue[rgb[from + 2] ?? 0] ?? 0;
  }
  return planes;
}
