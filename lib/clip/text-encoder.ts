import { AppError } from '../errors.ts';
import { probeDimension, unitRows } from './embedding.ts';
import { readClipConfig } from './model-config.ts';
import { findTower, type ClipDtype } from './model-files.ts';
import { OnnxGraph, type Feeds } from './onnx.ts';
import { readTokenizer, type Tokenizer } from './tokenizer.ts';

export interface TextEncoderOptions {
  /** Folder of the model, in one of the layouts of `model-files.ts`. */
  modelDir: string;
  /** Default: the first of fp32, fp16, q8 that is present. */
  dtype?: ClipDtype | undefined;
  /** Threads per model run. Default: {@link defaultThreads}. */
  threads?: number;
}

const input = 'input_ids';

/** CLIP's text tower: turns text into a unit vector. Created by {@link createTextEncoder}. */
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
   * @param text any text; only the start is used if it exceeds the model's context (CLIP: 77 tokens, about 60 words)
   * @returns `Float32Array` of `dimension`, L2-normalised
   */
  async encode(text: string): Promise<Float32Array> {
    const [embedding] = await this.encodeBatch([text]);
    if (embedding === undefined)
      throw new AppError('internal_error', 'The model gave no embedding.');
    return embedding;
  }

  /**
   * Encodes several texts. Texts with the same number of tokens share one run: not every text tower supports the
   * padding that others would need. A q8 graph quantises the whole batch on one scale (see `ImageEncoder.embedBatch`).
   *
   * @returns one embedding per text, in the same order
   */
  async encodeBatch(texts: readonly string[]): Promise<Float32Array[]> {
    const tokens = texts.map((text, place) => ({ place, ids: this.tokenize(text) }));
    const batches = new Map<number, typeof tokens>();
    for (const one of tokens) {
      const { length } = one.ids;
      batches.set(length, [...(batches.get(length) ?? []), one]);
    }
    const embeddings: Float32Array[] = [];
    const batchSize = this.#graph.fixedAxis(input, 0) ?? texts.length;
    for (const batch of batches.values())
      for (let from = 0; from < batch.length; from += batchSize) {
        const part = batch.slice(from, from + batchSize);
        const feeds = feedsOf(
          part.map(({ ids }) => ids),
          this.#graph,
        );
        const rows = unitRows(await this.#graph.run(feeds));
        for (const [i, { place }] of part.entries()) {
          const row = rows[i];
          if (row) embeddings[place] = row;
        }
      }
    return embeddings;
  }

  /** @returns token ids including start- and end-of-text, truncated to the model's context */
  tokenize(text: string): number[] {
    return this.#tokenizer.encode(text, this.#maxTokens);
  }

  /** Frees the model's memory; the encoder cannot be used afterwards. */
  dispose(): Promise<void> {
    return this.#graph.release();
  }
}

/**
 * Feeds for texts with the same number of tokens, without padding: CLIP's attention is causal, so tokens after the
 * end-of-text token change nothing and only cost time (77 tokens take six times as long as 7). They are padded
 * only for a graph of fixed length, with the last token, as CLIP's own tokenizer pads.
 */
function feedsOf(texts: readonly (readonly number[])[], graph: OnnxGraph): Feeds {
  const length = graph.fixedAxis(input, 1) ?? texts[0]?.length ?? 0;
  const tokens = (value: (ids: readonly number[], position: number) => number) => ({
    kind: 'integer' as const,
    values: texts.flatMap((ids) => Array.from({ length }, (_, position) => value(ids, position))),
    shape: [texts.length, length],
  });
  const positions = Array.from({ length }, (_, position) => position);
  return {
    input_ids: tokens((ids, position) => ids[position] ?? ids.at(-1) ?? 0),
    attention_mask: tokens((ids, position) => (position < ids.length ? 1 : 0)),
    position_ids: { kind: 'integer', values: positions, shape: [1, length] },
  };
}

/**
 * One thread: after a pause of 30 ms, as between most requests, a second thread has to be woken, which costs more than
 * it saves (9 tokens on 2 cores, one thread against two: q8 4.4 ms against 8.2, fp32 9.7 against 12.9; without a pause
 * 3.7 against 2.8 and 9.6 against 6.3).
 */
const defaultThreads = 1;

/**
 * Loads the text tower and runs it once. Reads only this tower's files (`model-files.ts`), usually `config.json`,
 * `tokenizer.json` and `onnx/text_model*.onnx`.
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
    run: { threads: options.threads ?? defaultThreads },
  });
  try {
    const maxTokens = Math.min(config.maxTokens, graph.fixedAxis(input, 1) ?? config.maxTokens);
    const trial = feedsOf([tokenizer.encode('an album cover', maxTokens)], graph);
    const dimension = await probeDimension(graph, trial, config.dimension);
    return new ClipTextEncoder({ graph, tokenizer, maxTokens, dimension, dtype });
  } catch (error) {
    await graph.release();
    throw error;
  }
}
