import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { refuseLfsPointer } from '../filesystem/files.ts';
import type { Tower } from './model-files.ts';

/** Reads a file of the model as text. @throws AppError `assets_missing` naming the file */
export async function readModelText(modelDir: string, name: string): Promise<string> {
  const path = join(modelDir, name);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const detail = `The model's file ${path} is missing or cannot be read.`;
    throw new AppError('assets_missing', detail, { cause });
  });
  await refuseLfsPointer(path);
  return text;
}

/** Reads a JSON file of the model. @throws AppError `assets_missing` or `model_unreadable`, naming the file */
export async function readModelJson(modelDir: string, name: string): Promise<unknown> {
  const text = await readModelText(modelDir, name);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('model_unreadable', `${join(modelDir, name)} is not valid JSON.`, { cause });
  }
}

/**
 * Reads a JSON file of the model and validates the fields that are needed.
 *
 * @param schemaOf returns the schema for a file with such content
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file and the field
 */
export async function readModelConfig<Config>(
  modelDir: string,
  name: string,
  schemaOf: (json: unknown) => z.ZodType<Config>,
): Promise<Config> {
  const json = await readModelJson(modelDir, name);
  // zod's default messages do not say what was found.
  const error = (raw: z.core.$ZodRawIssue) => foundInstead(expectedBy(raw), raw.input);
  const parsed = schemaOf(json).safeParse(json, { error });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  const what = `${field && `${field}: `}${issue?.message ?? 'its structure is different'}`;
  throw new AppError('model_unreadable', `${join(modelDir, name)} is not as expected: ${what}.`);
}

/** Maximum characters of a file quoted in a message. */
const longestQuote = 80;

/** The message of an issue. @param what the expected value, e.g. "a positive number" */
const foundInstead = (what: string, found: unknown): string => {
  const text = found === undefined ? 'nothing' : JSON.stringify(found);
  const quote = text.length > longestQuote ? `${text.slice(0, longestQuote)}…` : text;
  return `expected ${what} but found ${quote}`;
};

/** Gives a schema an error message that states what was expected and what was found. */
export const expecting = (what: string) => ({
  error: ({ input }: { input?: unknown }) => foundInstead(what, input),
});

/** zod's type names, in plain words. */
const kinds: Partial<Record<string, string>> = {
  ...{ int: 'a whole number', number: 'a number', string: 'a text', boolean: 'true or false' },
  ...{ array: 'a list', tuple: 'a list', object: 'an object', record: 'an object' },
};

function expectedBy(issue: z.core.$ZodRawIssue): string {
  if (issue.code === 'invalid_type') return kinds[issue.expected] ?? issue.expected;
  if (issue.code === 'too_small')
    return `${issue.inclusive === true ? 'at least' : 'more than'} ${String(issue.minimum)}`;
  if (issue.code === 'too_big') return `at most ${String(issue.maximum)}`;
  if (issue.code === 'invalid_value') return issue.values.map(String).join(' or ');
  return 'something else';
}

/** CLIP's context length, in tokens. */
const clipTokens = 77;
const dimension = z.number().int().positive().optional();
const tokens = z.number().int().min(2).default(clipTokens);
const ofClip = z.undefined(expecting("none, since only CLIP's own text tower is read")).optional();

/** open_clip's settings of CLIP's own text tower, the only one supported: others pad and clean texts differently. */
const openClipText = z.object({
  ...{ context_length: tokens, hf_model_name: ofClip, hf_tokenizer_name: ofClip },
  ...{ tokenizer_kwargs: ofClip, pool_type: z.literal('argmax').optional() },
  no_causal_mask: z.literal(false).optional(),
});

/** The settings that are needed, as named by transformers or by open_clip (and immich, which follows it). */
const clipConfig = (tower: Tower) =>
  z
    .object({
      ...{ projection_dim: dimension, embed_dim: dimension },
      text_config: z.object({ max_position_embeddings: tokens }).optional(),
      text_cfg: tower === 'text' ? openClipText.optional() : z.undefined().catch(undefined),
    })
    .transform(({ projection_dim, embed_dim, text_config, text_cfg }) => ({
      /** Length of the embeddings, if specified. */
      dimension: projection_dim ?? embed_dim,
      /** Longest text in tokens. */
      maxTokens: text_config?.max_position_embeddings ?? text_cfg?.context_length ?? clipTokens,
    }));

/** Whether a parsed file is an object with this field. */
export const hasField = (json: unknown, field: string): json is Record<string, unknown> =>
  typeof json === 'object' && json !== null && field in json;

/**
 * Reads `config.json`, or `open_clip_config.json`.
 *
 * @param tower fields needed only by the other tower are not checked
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file and the field
 */
export const readClipConfig = (modelDir: string, name: string, tower: Tower) =>
  readModelConfig(modelDir, name, (json) =>
    hasField(json, 'model_cfg')
      ? z.object({ model_cfg: clipConfig(tower) }).transform((all) => all.model_cfg)
      : clipConfig(tower),
  );
