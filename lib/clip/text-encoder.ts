import { openTower, type EncoderOptions } from './embedding.ts';
import { readClipConfig } from './model-config.ts';
import { findTower } from './model-files.ts';
import type { Feeds, OnnxGraph } from './onnx.ts';
import { readTokenizer } from './tokenizer.ts';

const input = 'input_ids';

/**
 * One thread: after a pause of 30 ms, as between most requests, a second thread has to be woken, which costs more than
 * it saves (9 tokens on 2 cores, one thread against two: q8 4.4 ms against 8.2, fp32 9.7 against 12.9; without a pause
 * 3.7 against 2.8 and 9.6 against 6.3).
 */
const defaultThreads = 1;

/**
 * Loads CLIP's text tower, which turns text into a unit vector, and runs it once. Reads only this tower's files
 * (`model-files.ts`), usually `config.json`, `tokenizer.json` and `onnx/text_model*.onnx`.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function createTextEncoder({ modelDir, ...options }: EncoderOptions) {
  const { path, dtype, ...files } = await findTower(modelDir, 'text', options.dtype);
  const config = await readClipConfig(modelDir, files.config, 'text');
  const tokenizer = await readTokenizer(modelDir, files.side);
  const contract = {
    required: input,
    axes: 2,
    optional: ['attention_mask', 'position_ids'],
    output: 'text_embeds',
    run: { threads: defaultThreads, ...options.run },
  };
  const contextOf = (opened: OnnxGraph) =>
    Math.min(config.maxTokens, opened.fixedAxis(input, 1) ?? Infinity);
  const { graph, embed, embedBatch, ...tower } = await openTower(path, contract, {
    declared: config.dimension,
    feedsOf,
    trial: (opened) => tokenizer.encode('an album cover', contextOf(opened)),
  });
  const maxTokens = contextOf(graph);
  /** @returns token ids including start- and end-of-text, truncated to the model's context */
  const tokenize = (text: string): number[] => tokenizer.encode(text, maxTokens);

  return {
    ...tower,
    dtype,
    tokenize,

    /**
     * @param text any text; only the start is used if it exceeds the model's context (CLIP: 77 tokens, about 60 words)
     * @returns `Float32Array` of `dimension`, L2-normalised
     */
    encode: async (text: string): Promise<Float32Array> => embed(tokenize(text)),

    /**
     * Encodes several texts. Texts with the same number of tokens share one run ({@link openTower}'s `embedBatch`): not
     * every text tower supports the padding that others would need.
     *
     * @returns one embedding per text, in the same order
     */
    async encodeBatch(texts: readonly string[]): Promise<Float32Array[]> {
      const tokens = texts.map((text, place) => ({ place, ids: tokenize(text) }));
      const embeddings: Float32Array[] = [];
      for (const length of new Set(tokens.map(({ ids }) => ids.length))) {
        const batch = tokens.filter(({ ids }) => ids.length === length);
        const rows = await embedBatch(batch.map(({ ids }) => ids));
        for (const [i, { place }] of batch.entries()) {
          const row = rows[i];
          if (row) embeddings[place] = row;
        }
      }
      return embeddings;
    },
  };
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
