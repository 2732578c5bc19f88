import { readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { AppError } from '../errors.ts';

export const clipDtypes = ['fp32', 'fp16', 'q8'] as const;
export type ClipDtype = (typeof clipDtypes)[number];
export type Tower = 'vision' | 'text';

/** File name endings of transformers.js and optimum. */
const suffixes: Record<ClipDtype, string> = { fp32: '', fp16: '_fp16', q8: '_quantized' };

/** Folders of immich's exports, which exist only as fp32 (immich's `machine-learning/export`). */
const immichFolder: Record<Tower, string> = { vision: 'visual', text: 'textual' };

/** The names of a graph in the layouts of transformers.js and optimum. */
const graphsNamed = (name: string, dtype: ClipDtype) =>
  ['onnx/', ''].map((folder) => ({ graph: `${folder}${name}${suffixes[dtype]}.onnx`, dtype }));

/** Where exporters put a tower: transformers.js, optimum, immich. */
const towerGraphs = (tower: Tower, dtype: ClipDtype) => [
  ...graphsNamed(`${tower}_model`, dtype),
  ...(dtype === 'fp32' ? [{ graph: `${immichFolder[tower]}/model.onnx`, dtype }] : []),
];

/** Files that specify the preprocessing of pictures, or the tokenizer. */
type Side = readonly [string, ...string[]];

/** The first entry whose files are all present is used. */
const sides: Record<Tower, readonly [Side, ...Side[]]> = {
  // transformers before version 5, transformers 5, immich, open_clip
  vision: [
    ['preprocessor_config.json'],
    ['processor_config.json'],
    ['visual/preprocess_cfg.json'],
    ['open_clip_config.json'],
  ],
  text: [['tokenizer.json'], ['textual/tokenizer.json'], ['vocab.json', 'merges.txt']],
};

/**
 * Finds one tower's files among those of a model.
 *
 * @param present names relative to the model's folder, with slashes
 * @param dtype which export; default: the first of fp32, fp16, q8 that is present
 */
function layOut(present: readonly string[], tower: Tower, dtype?: ClipDtype) {
  const dtypes = dtype === undefined ? clipDtypes : [dtype];
  const expected = dtypes.flatMap((one) => towerGraphs(tower, one));
  // optimum's names for a model in one graph: a single tower, or both, which is refused when it is opened
  const whole = dtypes.flatMap((one) => graphsNamed('model', one));
  const isThere = (name: string) => present.includes(name);
  const configs = ['config.json', 'open_clip_config.json']; // of transformers and of open_clip
  return {
    expected,
    found: [...expected, ...whole].find(({ graph }) => isThere(graph)),
    config: configs.find(isThere) ?? 'config.json',
    side: sides[tower].find((names) => names.every(isThere)) ?? sides[tower][0],
  };
}

/** The names of all files that {@link layOut} finds; for missing ones, those that transformers.js uses. */
export function towerFiles(present: readonly string[], tower: Tower, dtype?: ClipDtype): string[] {
  const { found, expected, config, side } = layOut(present, tower, dtype);
  const graph = (found ?? expected[0])?.graph ?? '';
  return [...new Set([config, ...side, graph])];
}

/**
 * Names of the files in a model's folder that may belong to the model; empty if the folder does not exist.
 *
 * @throws AppError `assets_missing` if it cannot be read
 */
export async function modelNames(modelDir: string): Promise<string[]> {
  const lists = ['', 'onnx', ...Object.values(immichFolder)].map(async (folder) => {
    const path = join(modelDir, folder);
    const names = await readdir(path).catch((cause: unknown) => {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return [];
      throw new AppError('assets_missing', `${path} is not a folder that can be read.`, { cause });
    });
    return names.map((name) => posix.join(folder, name));
  });
  return (await Promise.all(lists)).flat();
}

/**
 * Finds one tower of a model.
 *
 * @param dtype which export; default: the first of fp32, fp16, q8 that is present
 * @returns its files (names relative to the model's folder, with slashes), and the graph's dtype and `path`
 * @throws AppError `assets_missing` naming the file
 */
export async function findTower(modelDir: string, tower: Tower, dtype?: ClipDtype) {
  const present = await modelNames(modelDir);
  const { expected, found, ...files } = layOut(present, tower, dtype);
  if (found) return { ...files, ...found, path: join(modelDir, found.graph) };
  const wanted = expected.map(({ graph }) => graph).join(', ');
  const graphs = present.filter((name) => name.endsWith('.onnx')).join(', ');
  throw new AppError(
    'assets_missing',
    `The model's ${tower} tower is missing in ${modelDir}: expected one of ${wanted} but found ${graphs || 'no graph'}.`,
  );
}
