import { basename, dirname, join } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { AppError } from '../errors.ts';
import { usableCores } from '../concurrency/cores.ts';
import { fromHalfBits, toHalfBits } from './float16.ts';
import { loadError } from './load-error.ts';
import { referToWeights } from './mapped-weights.ts';

/**
 * Chosen by measurement with CLIP ViT-B/32 on 2 cores (Node 20, onnxruntime 1.30); medians for one picture.
 *
 * @param weightsFolder folder of the files that a graph in memory refers to
 */
const sessionOptions = (
  { threads, spin }: RunOptions,
  weightsFolder: string | undefined,
): InferenceSession.SessionOptions => ({
  intraOpNumThreads: threads,
  // A CLIP tower is a chain: no two of its nodes can run in parallel.
  executionMode: 'sequential',
  interOpNumThreads: 1,
  // 'disabled' makes q8 2.5 ms slower; the levels in between load no faster.
  graphOptimizationLevel: 'all',
  // Allocates activations from an arena instead of malloc. Equally fast by default, but 9.5 instead of 11.4 ms if glibc
  // must return memory to the system (MALLOC_TRIM_THRESHOLD_=131072, which saves 115 MB with both towers).
  enableCpuMemArena: true,
  // 3 = errors: warnings about a graph's initialisers would go to stderr, between the log's lines.
  logSeverityLevel: 3,
  extra: {
    session: {
      // Threads spin for work during a run (without spinning, q8 takes 13.1 ms instead of 9.4), but not after it: the
      // same cores decode the next picture.
      force_spinning_stop: '1',
      ...(!spin && { intra_op: { allow_spinning: '0' } }),
      ...(weightsFolder && { model_external_initializers_file_folder_path: weightsFolder }),
    },
  },
});

/** Values for one input; converted to whatever type the graph declares. */
type Feed =
  | { kind: 'float'; values: Float32Array; shape: readonly number[] }
  | { kind: 'integer'; values: readonly number[]; shape: readonly number[] };

export type Feeds = Readonly<Record<string, Feed>>;

/** `float32` or `float16`, `[rows, width]`, as float32. */
export interface Output {
  values: Float32Array;
  rows: number;
  width: number;
}

/** What a graph must look like, and how it is run. The names are those of transformers. */
export interface GraphContract {
  /** The required input; another name is accepted if it is the only input. */
  required: string;
  /** Number of axes of the required input. */
  axes: number;
  /** Inputs that are fed if the graph declares them. */
  optional: readonly string[];
  /** The output; another name is accepted if it is the only candidate and has two axes. */
  output: string;
  run?: Partial<RunOptions> | undefined;
}

export interface RunOptions {
  /**
   * Threads per run. Default: all usable cores (a picture as q8 takes 9.3 ms instead of 13.3 with one thread, as fp32
   * 36 instead of 66).
   */
  threads: number;
  /**
   * Whether threads spin while they wait for work during a run. Default: true; for large batches alongside other work,
   * spinning only takes CPU time from that work.
   */
  spin: boolean;
}

/** Names of outputs that are not embeddings, though they may have the same width. */
const noEmbedding = /hidden|pool|logits|attention/;

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');

/** An ONNX graph in memory. Only this class uses onnxruntime-node, which is loaded with the first graph. */
export class OnnxGraph {
  readonly path: string;
  readonly #session: InferenceSession;
  readonly #tensor: typeof Tensor;
  /** Keyed by the contract's names. */
  readonly #inputs: ReadonlyMap<string, InferenceSession.TensorValueMetadata>;
  readonly #output: string;

  private constructor(
    path: string,
    session: InferenceSession,
    tensor: typeof Tensor,
    contract: GraphContract,
  ) {
    this.path = path;
    this.#session = session;
    this.#tensor = tensor;
    const { required, optional, axes } = contract;
    const known = [required, ...optional];
    const inputs = session.inputMetadata.filter((input) => input.isTensor);
    const [only] = inputs;
    const isOnly = session.inputNames.length === 1 && only?.shape.length === axes;
    this.#inputs = new Map(
      isOnly ? [[required, only]] : inputs.map((input) => [input.name, input] as const),
    );
    const isKnown = [...this.#inputs.keys()].every((name) => known.includes(name));
    if (!isKnown || !this.#inputs.has(required))
      throw this.#unfit(
        splitCommand(path, session) ??
          `has the inputs ${quoted(session.inputNames)}: expected "${required}"` +
            (optional.length > 0 ? ` and at most ${quoted(optional)}` : ' alone'),
      );
    this.#output = this.#outputOf(session, contract.output);
  }

  #outputOf({ outputNames, outputMetadata }: InferenceSession, expected: string): string {
    if (outputNames.includes(expected)) return expected;
    const [only, ...others] = outputMetadata.filter(({ name }) => !noEmbedding.test(name));
    if (only?.isTensor && only.shape.length === 2 && others.length === 0) return only.name;
    throw this.#unfit(`has the outputs ${quoted(outputNames)}: expected "${expected}"`);
  }

  /**
   * Loads a graph, mapping its weights. This blocks the thread (CLIP's vision tower: 0.5 s as q8).
   *
   * @throws AppError `model_unreadable`, or `assets_missing` if the file of its weights is missing; names the file
   */
  static async open(path: string, contract: GraphContract): Promise<OnnxGraph> {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    let session: InferenceSession;
    try {
      const run = { threads: usableCores(), spin: true, ...contract.run };
      const mapped = referToWeights(path);
      const options = sessionOptions(run, mapped?.folder);
      session = await (mapped
        ? InferenceSession.create(mapped.graph, options)
        : InferenceSession.create(path, options));
    } catch (cause) {
      throw await loadError(path, cause);
    }
    try {
      return new OnnxGraph(path, session, Tensor, contract);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** The length of an input's axis if the graph fixes it, else `undefined`. */
  fixedAxis(input: string, axis: number): number | undefined {
    const length = this.#inputs.get(input)?.shape[axis];
    return typeof length === 'number' ? length : undefined;
  }

  /** Runs the graph on the feeds that it declares. onnxruntime-node does this on the calling thread, blocking it. */
  async run(feeds: Feeds): Promise<Output> {
    const tensors = Array.from(this.#inputs, ([known, { name, type }]) => {
      const feed = feeds[known];
      if (feed === undefined) throw new TypeError(`Expected a feed named ${known}`);
      return [name, this.#toTensor(feed, name, type)] as const;
    });
    const results = await this.#session.run(Object.fromEntries(tensors), [this.#output]);
    const output = results[this.#output];
    const [rows, width, ...more] = output?.dims ?? [];
    if (output && rows !== undefined && width !== undefined && more.length === 0)
      return { values: this.#toFloats(output), rows, width };
    const axes = String(output?.dims.length);
    throw this.#unfit(`gives "${this.#output}" of ${axes} axes: expected 2`);
  }

  /** Frees the graph's memory; it cannot be run afterwards. */
  release(): Promise<void> {
    return this.#session.release();
  }

  #toTensor(feed: Feed, name: string, type: Tensor.Type): Tensor {
    const Tensor = this.#tensor;
    const { kind, values, shape } = feed;
    if (kind === 'float' && type === 'float32') return new Tensor(type, values, shape);
    if (kind === 'float' && type === 'float16') {
      const bits = toHalfBits(values);
      // From Node 24 on, a tensor wraps its bits in a Float16Array, which onnxruntime-node 1.30 reads as empty.
      return Object.defineProperty(new Tensor(type, bits, shape), 'data', { value: bits });
    }
    if (kind === 'integer' && type === 'int64')
      return new Tensor(type, BigInt64Array.from(values, BigInt), shape);
    if (kind === 'integer' && type === 'int32')
      return new Tensor(type, Int32Array.from(values), shape);
    const expected = kind === 'float' ? 'float32 or float16' : 'int64 or int32';
    throw this.#unfit(`declares its input "${name}" as ${type}: expected ${expected}`);
  }

  #toFloats({ type, data }: Tensor): Float32Array {
    if (data instanceof Float32Array) return data;
    if (type === 'float16' && ArrayBuffer.isView(data))
      return fromHalfBits(new Uint16Array(data.buffer, data.byteOffset, data.length));
    throw this.#unfit(`gives "${this.#output}" as ${type}: expected float32 or float16`);
  }

  #unfit(how: string): AppError {
    return new AppError('model_unreadable', `${this.path} ${how}.`);
  }
}

/**
 * The command that extracts the towers from a graph that holds both, as exported by optimum. In such a graph, a text
 * would cost as much as a picture, and both towers would be in memory twice.
 */
function splitCommand(path: string, { inputNames, outputNames }: InferenceSession): string | null {
  const [, dtype] = /^model(.*)\.onnx$/.exec(basename(path)) ?? [];
  const wanted = ['pixel_values', 'input_ids', 'image_embeds', 'text_embeds'];
  const names = [...inputNames, ...outputNames];
  if (dtype === undefined || !wanted.every((name) => names.includes(name))) return null;
  const ofText = inputNames.filter((name) => name !== 'pixel_values');
  const extract = (tower: string, inputs: readonly string[], output: string) => {
    const file = join(dirname(path), `${tower}_model${dtype}.onnx`);
    return `x(${[path, file, inputs, [output]].map((one) => JSON.stringify(one)).join(', ')})`;
  };
  const vision = extract('vision', ['pixel_values'], 'image_embeds');
  const text = extract('text', ofText, 'text_embeds');
  return `holds both towers in one graph: split it with pip install onnx && python3 -c 'from onnx.utils import extract_model as x; ${vision}; ${text}'`;
}
