import { AppError } from '../errors.ts';
import type { Feeds, OnnxGraph, Output } from './onnx.ts';

/**
 * Scales each row of a graph's output to length 1.
 *
 * @returns one `Float32Array` per row
 * @throws AppError `internal_error` if a row is all zeros or contains NaN or infinity: it would match everything or
 *   nothing
 */
export function unitRows({ values, rows, width }: Output): Float32Array[] {
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

/**
 * Runs a graph once, to measure its dimension instead of trusting the config, and to spare clients the slow first run.
 *
 * @param declared `projection_dim` of `config.json`, if present
 * @returns the dimension of its embeddings
 * @throws AppError `model_unreadable` naming the file
 */
export async function probeDimension(
  graph: OnnxGraph,
  feeds: Feeds,
  declared: number | undefined,
): Promise<number> {
  const { width } = await graph
    .run(feeds)
    .then((output) => {
      unitRows(output);
      return output;
    })
    .catch((cause: unknown) => {
      if (cause instanceof AppError && cause.code === 'model_unreadable') throw cause;
      const why = cause instanceof AppError ? `: ${cause.detail}` : '.';
      throw new AppError('model_unreadable', `${graph.path} fails on a trial input${why}`, {
        cause,
      });
    });
  if (declared !== undefined && width !== declared)
    throw new AppError(
      'model_unreadable',
      `${graph.path} gives embeddings of ${String(width)} dimensions but the model's config.json has projection_dim ${String(declared)}.`,
    );
  return width;
}
