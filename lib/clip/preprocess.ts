import { z } from 'zod';
import type { ModelFrame } from '../imaging/geometry.ts';
import { expecting, hasField, readModelConfig } from './model-config.ts';

/** `PIL.Image.Resampling.BICUBIC`, the only filter that `lib/imaging` has. */
const bicubic = 3;
const perByte = 1 / 255;

const edge = z.number().int().positive().max(4096);
const square = z
  .object({ height: edge, width: edge })
  .refine(({ height, width }) => height === width, expecting('a square'));
/** Lists are refused: transformers does not specify whether they mean cropping or squeezing. */
const sizes = expecting(
  'a whole number up to 4096, {"shortest_edge": number} or {"height": number, "width": the same}',
);
const crops = expecting('a whole number up to 4096 or {"height": number, "width": the same}');
const three = <Value extends z.ZodType>(value: Value, what: string) =>
  z.tuple([value, value, value], expecting(`a list of three ${what}`));
const means = three(z.number(), 'numbers');
const deviations = three(z.number().positive(), 'numbers above 0');
const clipMean: z.output<typeof means> = [0.48145466, 0.4578275, 0.40821073];
const clipDeviation: z.output<typeof means> = [0.26862954, 0.26130258, 0.27577711];

/** `preprocessor_config.json`; absent fields have the defaults of transformers' `CLIPImageProcessor`. */
const preprocessorConfig = z
  .object({
    do_resize: z.literal(true).default(true),
    size: z.union([edge, z.object({ shortest_edge: edge }), square], sizes).default(224),
    resample: z
      .literal(bicubic, expecting(`${String(bicubic)} (bicubic), the only filter supported,`))
      .default(bicubic),
    do_center_crop: z.boolean().default(true),
    crop_size: z.union([edge, square], crops).optional(),
    do_rescale: z.boolean().default(true),
    rescale_factor: z.number().positive().default(perByte),
    do_normalize: z.boolean().default(true),
    image_mean: means.default(clipMean),
    image_std: deviations.default(clipDeviation),
  })
  .transform((config, context) => {
    const size = edgeOf(config.size);
    const crop = config.do_center_crop ? edgeOf(config.crop_size ?? size) : size;
    const isExact = typeof config.size === 'object' && 'height' in config.size;
    const refuse = (field: string, message: string) => {
      context.addIssue({ code: 'custom', path: [field], message });
    };
    if (crop > size) refuse('crop_size', `expected at most ${String(size)}`);
    if (!isExact && !config.do_center_crop) refuse('do_center_crop', 'expected true');
    const frame: ModelFrame = { size, crop, resize: isExact ? 'exact' : 'shortest-edge' };
    const scale = config.do_rescale ? config.rescale_factor : 1;
    const tables = config.do_normalize
      ? valueTables(config.image_mean, config.image_std, scale)
      : valueTables([0, 0, 0], [1, 1, 1], scale);
    return { frame, tables };
  });

function edgeOf(size: number | { shortest_edge: number } | { height: number }): number {
  if (typeof size === 'number') return size;
  return 'height' in size ? size.height : size.shortest_edge;
}

const openClipSizes = expecting('a whole number up to 4096 or a list of two that are the same');

/** open_clip's `preprocess_cfg`, with the defaults of its `PreprocessCfg`. */
const openClipFields = {
  size: z
    .union(
      [edge, z.tuple([edge, edge]).refine(([height, width]) => height === width, openClipSizes)],
      openClipSizes,
    )
    .optional(),
  mode: z.literal('RGB').optional(),
  mean: means.default(clipMean),
  std: deviations.default(clipDeviation),
  // outside of training, open_clip treats "random" as bicubic
  interpolation: z.enum(['bicubic', 'random']).optional(),
  resize_mode: z.enum(['shortest', 'squash']).optional(),
};
const openClipConfig = z.object(openClipFields).transform(asPreprocessor);

/** `open_clip_config.json`: `vision_cfg` gives the picture size unless `preprocess_cfg` does. */
const openClipModel = z
  .object({
    model_cfg: z.object({ vision_cfg: z.object({ image_size: openClipFields.size }) }),
    preprocess_cfg: z.object(openClipFields),
  })
  .transform(({ model_cfg, preprocess_cfg }) =>
    asPreprocessor({ size: model_cfg.vision_cfg.image_size, ...preprocess_cfg }),
  );

function asPreprocessor(config: z.output<z.ZodObject<typeof openClipFields>>): Preprocessor {
  const { size: sizes = 224, mean, std } = config;
  const size = typeof sizes === 'number' ? sizes : sizes[0];
  const resize = config.resize_mode === 'squash' ? 'exact' : 'shortest-edge';
  return { frame: { size, crop: size, resize }, tables: valueTables(mean, std, perByte) };
}

/** `processor_config.json`, in which transformers 5 stores the image processor alongside the tokenizer. */
const processorConfig = z
  .object({ image_processor: preprocessorConfig })
  .transform(({ image_processor }) => image_processor);

type PerChannel = readonly [number, number, number];

/** Lookup tables from byte to model value, one per channel. */
function valueTables(mean: PerChannel, std: PerChannel, scale: number): Preprocessor['tables'] {
  const table = (channel: 0 | 1 | 2): Float32Array =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte * scale - mean[channel]) / std[channel]);
  return [table(0), table(1), table(2)];
}

/** The preprocessing that a model expects. */
export interface Preprocessor {
  frame: ModelFrame;
  /** One table per channel (R, G, B): the model's value for each of the 256 byte values. */
  tables: readonly [Float32Array, Float32Array, Float32Array];
}

/**
 * @param name file in the model's folder, as written by transformers, immich or open_clip
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file and the field
 */
export const readPreprocessor = (modelDir: string, name: string): Promise<Preprocessor> =>
  readModelConfig(modelDir, name, (json): z.ZodType<Preprocessor> => {
    // Chosen by content: files are often copied under another format's name.
    if (hasField(json, 'preprocess_cfg')) return openClipModel;
    if (hasField(json, 'mean') && !hasField(json, 'image_mean')) return openClipConfig;
    const isProcessor = name === 'processor_config.json' || hasField(json, 'image_processor');
    return isProcessor ? processorConfig : preprocessorConfig;
  });

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
