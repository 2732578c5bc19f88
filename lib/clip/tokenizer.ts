import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { hasField, readModelConfig, readModelJson, readModelText } from './model-config.ts';

/**
 * The part of `@huggingface/tokenizers` used here: its own type declarations import each other in a way that TypeScript
 * does not resolve under NodeNext.
 */
interface TokenizersLibrary {
  Tokenizer: new (
    definition: unknown,
    config: object,
  ) => {
    /** In a `WordLevel` model, a word missing from the vocabulary has no id. */
    encode: (text: string) => { ids: (number | undefined)[] };
  };
}

/**
 * Reads a tokenizer, which converts text into token ids (about 0.1 s for CLIP's 49,408 tokens).
 *
 * @param names `tokenizer.json`, or `vocab.json` and `merges.txt`, which are assumed to be CLIP's
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function readTokenizer(
  modelDir: string,
  [name, mergesName]: readonly [string, ...string[]] = ['tokenizer.json'],
) {
  const definition = await (mergesName === undefined
    ? readModelJson(modelDir, name)
    : clipDefinition(modelDir, name, mergesName));
  const library = (await import('@huggingface/tokenizers')) as unknown as TokenizersLibrary;
  try {
    const tokenizer = new library.Tokenizer(definition, {});
    const lowercases =
      hasField(definition, 'normalizer') &&
      JSON.stringify(definition['normalizer']).includes('"Lowercase"');
    const { success, data } = wordList.safeParse(definition);
    const unknown = success ? data.model.vocab[data.model.unk_token] : undefined;
    const tokenize = (text: string) =>
      tokenizer
        .encode(lowercases ? lowerSigma(text) : text)
        .ids.flatMap((id) => id ?? unknown ?? []);
    const end = tokenize('').at(-1);
    return {
      /**
       * @returns ids from the start-of-text to the end-of-text token, at most `maxTokens`: longer texts are truncated
       *   before the end-of-text token. Never padded.
       */
      encode: (text: string, maxTokens: number): number[] => {
        const ids = tokenize(text);
        if (ids.length <= maxTokens) return ids;
        return end === undefined ? ids.slice(0, maxTokens) : [...ids.slice(0, maxTokens - 1), end];
      },
    };
  } catch (cause) {
    const detail = `${join(modelDir, name)} is not a tokenizer that can be read.`;
    throw new AppError('model_unreadable', detail, { cause });
  }
}

/** Where the id is that Python's tokenizers gives to words missing from the vocabulary; without it, it drops them. */
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

/** CLIP's pattern of a word (openai/CLIP, `simple_tokenizer.py`). */
const word = [
  ...specials.map((token) => token.replaceAll('|', '\\|')),
  ...["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", '[\\p{L}]+', '[\\p{N}]', '[^\\s\\p{L}\\p{N}]+'],
].join('|');

/**
 * The `tokenizer.json` for this vocabulary and these merges, as written by transformers' `CLIPTokenizer`: byte-level
 * BPE over lower-cased words with an end-of-word suffix, between the special tokens.
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

/**
 * Rust's tokenizers lower-cases each character on its own; JavaScript's `toLowerCase` considers the whole word and
 * turns a Greek word's last sigma into a final sigma, which is a different token. This was the only difference in 3,000
 * random texts.
 */
const lowerSigma = (text: string): string => text.replaceAll('Σ', 'σ');
