import { AppError } from '../errors.ts';
import type { ClipDtype } from './model-files.ts';
import { OnnxGraph, type Feeds, type GraphContract, type Output, type RunOptions } from './onnx.ts';

/** The options of both encoders. */
export interface EncoderOptions {
  /** Folder of the model, in one of the layouts of `model-files.ts`. */
  modelDir: string;
  /** Default: the first of fp32, fp16, q8 that is present. */
  dtype?: ClipDtype | undefined;
  /** Default: tuned for one query at a time. */
  run?: Partial<RunOptions>;
}

/**
 * Opens a tower's graph and runs it once, to measure its dimension instead of trusting the config, and to spare clients
 * the slow first run.
 *
 * @throws AppError `assets_missing` or `model_unreadable`, naming the file
 */
export async function openTower<Input>(
  path: string,
  contract: GraphContract,
  parts: {
    /** `projection_dim` of `config.json`, if present. */
    declared: number | undefined;
    feedsOf: (inputs: readonly Input[], graph: OnnxGraph) => Feeds;
    /** The input of the first run; may refuse the graph. */
    trial: (graph: OnnxGraph) => Input;
  },
) {
  const { declared, feedsOf, trial } = parts;
  const graph = await OnnxGraph.open(path, contract);

  /**
   * Embeds several inputs in one run: from about 4 pictures on, each takes a third less time; beyond 8 nothing more is
   * gained. A q8 graph quantises the whole batch on one scale, so its embeddings differ from single ones as much as from
   * fp32's (cosine 0.9999).
   *
   * @returns one embedding per input, in the same order
   */
  const embedBatch = async (inputs: readonly Input[]): Promise<Float32Array[]> => {
    // An export may have a fixed batch size of one; with a larger fixed size, the trial run has failed.
    const batch = graph.fixedAxis(contract.required, 0) ?? Math.max(inputs.length, 1);
    const embeddings: Float32Array[] = [];
    for (let from = 0; from < inputs.length; from += batch) {
      const feeds = feedsOf(inputs.slice(from, from + batch), graph);
      embeddings.push(...unitRows(await graph.run(feeds)));
    }
    return embeddings;
  };

  /** @returns `Float32Array` of `dimension`, L2-normalised */
  const embed = async (input: Input): Promise<Float32Array> => {
    const [embedding] = await embedBatch([input]);
    if (embedding) return embedding;
    throw new AppError('internal_error', 'The model gave no embedding.');
  };

  /** Frees the model's memory; the tower cannot be used afterwards. */
  const dispose = () => graph.release();

  try {
    const dimension = await probeDimension(graph, declared, feedsOf([trial(graph)], graph));
    return { dimension, graph, embed, embedBatch, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function probeDimension(
  graph: OnnxGraph,
  declared: number | undefined,
  trial: Feeds,
): Promise<number> {
  try {
    const output = await graph.run(trial);
    unitRows(output);
    if (declared === undefined || output.width === declared) return output.width;
    throw new AppError(
      'model_unreadable',
      `${graph.path} gives embeddings of ${String(output.width)} dimensions but the model's config.json has projection_dim ${String(declared)}.`,
    );
  } catch (cause) {
    if (cause instanceof AppError && cause.code === 'model_unreadable') throw cause;
    const why = `fails on a trial input${cause instanceof AppError ? `: ${cause.detail}` : '.'}`;
    throw new AppError('model_unreadable', `${graph.path} ${why}`, { cause });
  }
}

/**
 * Scales each row of a graph's output to length 1.
 *
 * @throws AppError `internal_error` if a row is all zeros or contains NaN or infinity: it would match everything or
 *   nothing
 */
function unitRows({ values, rows, width }: Output): Float32Array[] {
  return Array.from({ length: rows }, (_, row) => {
    const vector = values.slice(row * width, (row + 1) * width);
    const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
    if (!Number.isFinite(length) || length === 0)
      throw new AppError(
        'internal_error',
        `The model's embedding has length ${String(length)}: expected a positive number.`,
      );
    return vector.map((value) => value / length);
  });
}
