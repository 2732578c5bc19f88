import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../errors.ts';
import { refuseLfsPointer } from '../filesystem/files.ts';
import { externalDataOf } from './external-data.ts';

/** Error messages of ONNX Runtime 1.30 and their explanations. `$1` is the captured name. */
const meanings = [
  {
    says: /(?:No Op registered for|Fatal error:|implementation for) (\S+)/,
    means: 'needs the operator $1, which this ONNX Runtime does not have',
  },
  {
    says: /(?:till|max supported) (opset \d+|IR version: \d+)/,
    means: 'is newer than this ONNX Runtime reads ($1): export it with an older opset',
  },
  {
    says: /External initializer.*out of bounds/s,
    means: "does not fit the file of its weights, which is incomplete or another model's",
  },
  {
    says: /Protobuf parsing failed|does not have a graph/,
    means: 'is not an ONNX graph, or not a whole one: it may be damaged or incomplete',
  },
];

/** Characters quoted of a message that matches none of these. */
const longestReason = 200;

/**
 * Explains why a graph could not be loaded.
 *
 * @param cause the error that ONNX Runtime threw
 * @returns `assets_missing` if the file of its weights is missing; else `model_unreadable`
 * @throws AppError `assets_missing` if Git LFS has not fetched the graph
 */
export async function loadError(path: string, cause: unknown): Promise<AppError> {
  await refuseLfsPointer(path);
  for (const name of await externalDataOf(path)) {
    const weights = join(dirname(path), name);
    if (await stat(weights).catch(() => null)) continue;
    const detail = `${weights} is missing: it holds the weights of ${path}.`;
    return new AppError('assets_missing', detail, { cause });
  }
  const said = cause instanceof Error ? cause.message.replaceAll(/\s+/g, ' ').trim() : '';
  const meaning = meanings.find(({ says }) => says.test(said));
  const [, named = ''] = meaning?.says.exec(said) ?? [];
  const why =
    meaning?.means.replace('$1', () => named) ??
    `cannot be loaded; ONNX Runtime says: ${said.slice(0, longestReason)}`;
  return new AppError('model_unreadable', `${path} ${why}.`, { cause });
}
