import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';

export const clipDtypes = ['fp32', 'fp16', 'q8'] as const;
export type ClipDtype = (typeof clipDtypes)[number];
export type Tower = 'vision' | 'text';

/** File name endings of transformers.js. */
const suffixes: Record<ClipDtype, string> = { fp32: '', fp16: '_fp16', q8: '_quantized' };

const towerName = (tower: Tower, dtype: ClipDtype): string =>
  `${tower}_model${suffixes[dtype]}.onnx`;

const towerPath = (modelDir: string, tower: Tower, dtype: ClipDtype): string =>
  join(modelDir, 'onnx', towerName(tower, dtype));

/**
 * Files that one tower needs, relative to the model's folder.
 *
 * @param present names in the model's folder `onnx`
 * @param dtype which export; default: the first present of fp32, fp16, q8
 */
export function towerFiles(present: readonly string[], tower: Tower, dtype?: ClipDtype): string[] {
  const candidates = dtype === undefined ? clipDtypes : [dtype];
  const names = candidates.map((candidate) => towerName(tower, candidate));
  // Where none is present the first is named, so that the message of its absence names a file.
  const name = names.find((one) => present.includes(one)) ?? names[0] ?? '';
  const side = tower === 'vision' ? 'preprocessor_config.json' : 'tokenizer.json';
  return ['config.json', side, `onnx/${name}`];
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * Finds one tower of a model in the Hugging Face / transformers.js layout.
 *
 * @param dtype which export; default: the first present of fp32, fp16, q8
 * @throws AppError `assets_missing` naming the file
 */
export async function findTower(
  modelDir: string,
  tower: Tower,
  dtype?: ClipDtype,
): Promise<{ path: string; dtype: ClipDtype }> {
  const candidates = dtype === undefined ? clipDtypes : [dtype];
  for (const candidate of candidates) {
    const path = towerPath(modelDir, tower, candidate);
    if (await exists(path)) return { path, dtype: candidate };
  }
  const expected = candidates
    .map((candidate) => towerPath(modelDir, tower, candidate))
    .join(' or ');
  throw new AppError(
    'assets_missing',
    `The model's ${tower} tower is missing: expected ${expected}.`,
  );
}

/**
 * Reads a JSON file of the model.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function readModelJson(modelDir: string, name: string): Promise<unknown> {
  const path = join(modelDir, name);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError('assets_missing', `The model's file ${path} is missing or cannot be read.`, {
      cause,
    });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('model_unreadable', `${path} is not valid JSON.`, { cause });
  }
}

/**
 * Reads a JSON file of the model and checks what is needed of it.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file and the field
 */
export async function readModelConfig<Schema extends z.ZodType>(
  modelDir: string,
  name: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  const parsed = schema.safeParse(await readModelJson(modelDir, name));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  const what = `${field && `${field}: `}${issue?.message ?? 'it has another shape'}`;
  throw new AppError('model_unreadable', `${join(modelDir, name)} is not as expected: ${what}.`);
}

/** What is needed of `config.json`. */
export const clipConfig = z.object({
  projection_dim: z.number().int().positive().optional(),
  text_config: z
    .object({
      /** Longest text in tokens; CLIP's own is 77. */
      max_position_embeddings: z.number().int().min(2).default(77),
    })
    .default({ max_position_embeddings: 77 }),
});
