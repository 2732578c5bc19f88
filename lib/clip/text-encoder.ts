import { AppError } from '../errors.ts';
import { probeDimension, unitRows } from './embedding.ts';
import { readClipConfig } from './model-config.ts';
import { findTower, type ClipDtype } from './model-files.ts';
import { OnnxGraph, type Feeds } from './onnx.ts';
import { readTokenizer, type Tokenizer } from './tokenizer.ts';

export interface TextEncoderOptions {
  /** Folder of the model, in one of the layouts of `model-files.ts`. */
  modelDir: string;
  /** Default: the first present of fp32, fp16, q8. */
  dtype?: ClipDtype;
}

const input = 'input_ids';

/** CLIP's text tower: words into a unit vector. Made by {@link createTextEncoder}. */
export class ClipTextEncoder {
  /** Length of every embedding. */
  readonly dimension: number;
  readonly dtype: ClipDtype;
  readonly #graph: OnnxGraph;
  readonly #tokenizer: Tokenizer;
  readonly #maxTokens: number;

  constructor(parts: {
    graph: OnnxGraph;
    tokenizer: Tokenizer;
    maxTokens: number;
    dimension: number;
    dtype: ClipDtype;
  }) {
    this.dimension = parts.dimension;
    this.dtype = parts.dtype;
    this.#graph = parts.graph;
    this.#tokenizer = parts.tokenizer;
    this.#maxTokens = parts.maxTokens;
  }

  /**
   * @param text any text; of a longer one than the model takes (CLIP: 77 tokens, about 60 words) the start
   *   counts
   * @returns `Float32Array` of `dimension`, L2-normalised
   */
  async encode(text: string): Promise<Float32Array> {
    const ids = this.tokenize(text);
    const [embedding] = unitRows(await this.#graph.run(feedsOf(ids, this.#graph)));
    if (embedding === undefined)
      throw new AppError('internal_error', 'The model gave no embedding.');
    return embedding;
  }

  /** @returns token ids, start- and end-of-text included, truncated to what the model takes */
  tokenize(text: string): number[] {
    return this.#tokenizer.encode(text, this.#maxTokens);
  }

  /** Frees the model's memory; the encoder cannot be used afterwards. */
  dispose(): Promise<void> {
    return this.#graph.release();
  }
}

/**
 * One text, as long as it is: CLIP's attention is causal, so what follows the end-of-text token changes
 * nothing and only costs time (77 tokens take six times as long as 7). Only a graph of fixed length is
 * padded, with the last token, as CLIP's own tokenizer pads.
 */
function feedsOf(ids: readonly number[], graph: OnnxGraph): Feeds {
  const length = graph.fixedAxis(input, 1) ?? ids.length;
  const padding = Array.from({ length: length - ids.length }, () => ids.at(-1) ?? 0);
  const shape = [1, length];
  const integers = (values: number[]) => ({ kind: 'integer', values, shape }) as const;
  return {
    input_ids: integers([...ids, ...padding]),
    attention_mask: integers([...ids.map(() => 1), ...padding.map(() => 0)]),
    position_ids: integers(Array.from({ length }, (_, position) => position)),
  };
}

/**
 * One thread runs a text: after a pause of 30 ms, as between most requests, a second one has to be woken and
 * costs more than it saves (9 tokens on 2 cores: q8 4.4 ms against 8.2, fp32 9.7 against 12.9; without a
 * pause 3.7 against 2.8 and 9.6 against 6.3).
 */
const threads = 1;

/**
 * Loads the text tower and runs it once. Reads its own files alone
 * (`model-files.ts`), usually `config.json`, `tokenizer.json` and `onnx/text_model*.onnx`.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function createTextEncoder(options: TextEncoderOptions): Promise<ClipTextEncoder> {
  const { modelDir } = options;
  const tower = await findTower(modelDir, 'text', options.dtype);
  const { path, dtype } = tower;
  const config = await readClipConfig(modelDir, tower.config, 'text');
  const tokenizer = await readTokenizer(modelDir, tower.side);
  const graph = await OnnxGraph.open(path, {
    required: input,
    axes: 2,
    optional: ['attention_mask', 'position_ids'],
    output: 'text_embeds',
    run: { threads },
  });
  try {
    const maxTokens = Math.min(config.maxTokens, graph.fixedAxis(input, 1) ?? config.maxTokens);
    const trial = feedsOf(tokenizer.encode('an album cover', maxTokens), graph);
    const dimension = await probeDimension(graph, trial, config.dimension);
    return new ClipTextEncoder({ graph, tokenizer, maxTokens, dimension, dtype });
  } catch (error) {
    await graph.release();
    throw error;
  }
}
