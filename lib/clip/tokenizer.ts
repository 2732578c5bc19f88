import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { readModelConfig, readModelJson, readModelText } from './model-config.ts';

/** Text into token ids. */
export interface Tokenizer {
  /**
   * @returns ids from the start-of-text token to the end-of-text one, at most `maxTokens`: what a longer
   *   text has too many is left out before the end-of-text token. Never padded.
   */
  encode: (text: string, maxTokens: number) => number[];
}

/**
 * The part of `@huggingface/tokenizers` that is used: its own types import each other in a way that
 * TypeScript does not follow under NodeNext.
 */
interface TokenizersLibrary {
  Tokenizer: new (
    definition: unknown,
    config: object,
  ) => {
    /** A word that the vocabulary lacks has no id where the model is a list of words (`WordLevel`). */
    encode: (text: string) => { ids: (number | undefined)[] };
  };
}

/**
 * Reads a tokenizer (about 0.1 s for CLIP's 49,408 tokens).
 *
 * @param names `tokenizer.json`, or `vocab.json` and `merges.txt`, which are taken for CLIP's
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function readTokenizer(
  modelDir: string,
  [name, mergesName]: readonly [string, ...string[]] = ['tokenizer.json'],
): Promise<Tokenizer> {
  const definition =
    mergesName === undefined
      ? await readModelJson(modelDir, name)
      : await clipDefinition(modelDir, name, mergesName);
  const library = (await import('@huggingface/tokenizers')) as unknown as TokenizersLibrary;
  try {
    const tokenizer = new library.Tokenizer(definition, {});
    const lowercases = hasLowercase(definition);
    const unknown = unknownId(definition);
    const tokenize = (text: string) =>
      tokenizer
        .encode(lowercases ? lowerSigma(text) : text)
        .ids.flatMap((id) => id ?? unknown ?? []);
    const end = tokenize('').at(-1);
    return {
      encode: (text, maxTokens) => {
        const ids = tokenize(text);
        if (ids.length <= maxTokens) return ids;
        return end === undefined ? ids.slice(0, maxTokens) : [...ids.slice(0, maxTokens - 1), end];
      },
    };
  } catch (cause) {
    throw new AppError(
      'model_unreadable',
      `${join(modelDir, name)} is not a tokenizer that can be read.`,
      { cause },
    );
  }
}

/** The id that Python's tokenizers gives a word which is not in the vocabulary; without one it drops it. */
function unknownId(definition: unknown): number | undefined {
  const { success, data } = wordList.safeParse(definition);
  return success ? data.model.vocab[data.model.unk_token] : undefined;
}

const wordList = z.object({
  model: z.object({ unk_token: z.string(), vocab: z.record(z.string(), z.number()) }),
});

/** CLIP's special tokens (openai/CLIP, `simple_tokenizer.py`). */
const specials = ['<|startoftext|>', '<|endoftext|>'] as const;

const clipVocabulary = z
  .record(z.string(), z.number().int().nonnegative())
  .refine((vocabulary) => specials.every((token) => token in vocabulary), {
    error: `expected CLIP's vocabulary with ${specials.join(' and ')}; another one's tokenizer.json is written by AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) of transformers`,
  });

/** What CLIP takes for a word (openai/CLIP, `simple_tokenizer.py`). */
const word = [
  ...specials.map((token) => token.replaceAll('|', '\\|')),
  ...["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", '[\\p{L}]+', '[\\p{N}]', '[^\\s\\p{L}\\p{N}]+'],
].join('|');

/**
 * What `tokenizer.json` says of the tokenizer with this vocabulary and these merges, as transformers' `CLIPTokenizer`
 * writes it: byte-level BPE over lower-cased words, whose ends are marked, between the special tokens.
 */
async function clipDefinition(modelDir: string, vocabName: string, mergesName: string) {
  const vocab = await readModelConfig(modelDir, vocabName, () => clipVocabulary);
  const lines = (await readModelText(modelDir, mergesName)).split(/\r?\n/);
  const merges = lines
    .filter((line) => line !== '' && !line.startsWith('#version'))
    .map((line) => line.split(' '));
  if (merges.length === 0 || merges.some((pair) => pair.length !== 2))
    throw new AppError(
      'model_unreadable',
      `${join(modelDir, mergesName)} is not a list of merges: expected two tokens in each line.`,
    );
  const [start, end] = specials;
  const whole = { special: true, single_word: false, lstrip: false, rstrip: false };
  const spaces = { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' };
  const split = { type: 'Split', pattern: { Regex: word }, behavior: 'Removed', invert: true };
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    added_tokens: specials.map((content) => ({ id: vocab[content], content, ...whole })),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, spaces, { type: 'Lowercase' }] },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, bytes] },
    post_processor: {
      ...{ type: 'RobertaProcessing', trim_offsets: false, add_prefix_space: false },
      ...{ sep: [end, vocab[end]], cls: [start, vocab[start]] },
    },
    decoder: null,
    model: { type: 'BPE', unk_token: end, end_of_word_suffix: '</w>', vocab, merges },
  };
}

const hasLowercase = (definition: unknown): boolean =>
  typeof definition === 'object' &&
  definition !== null &&
  'normalizer' in definition &&
  JSON.stringify(definition.normalizer).includes('"Lowercase"');

/**
 * Rust's tokenizers lower each character by itself, JavaScript's `toLowerCase` looks at the whole word: it
 * makes the last sigma of a Greek one a final sigma, which is another token. This was the only
 * difference in 3,000 random texts.
 */
const lowerSigma = (text: string): string => text.replaceAll('Σ', 'σ');
