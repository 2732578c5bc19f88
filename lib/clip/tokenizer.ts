import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { readModelJson } from './model-files.ts';

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
 * Reads `tokenizer.json` (about 0.1 s for CLIP's 49,408 tokens).
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function readTokenizer(modelDir: string): Promise<Tokenizer> {
  const definition = await readModelJson(modelDir, 'tokenizer.json');
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
      `${join(modelDir, 'tokenizer.json')} is not a tokenizer that can be read.`,
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
