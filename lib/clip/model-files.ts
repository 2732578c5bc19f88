import { readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { AppError } from '../errors.ts';

export const clipDtypes = ['fp32', 'fp16', 'q8'] as const;
export type ClipDtype = (typeof clipDtypes)[number];
export type Tower = 'vision' | 'text';

/** The files of one tower of a model: names relative to the model's folder, with slashes. */
export interface TowerFiles {
  graph: string;
  dtype: ClipDtype;
  config: string;
  /** Files that specify the preprocessing of pictures, or the tokenizer. */
  side: readonly [string, ...string[]];
}

/** File name endings of transformers.js and optimum. */
const suffixes: Record<ClipDtype, string> = { fp32: '', fp16: '_fp16', q8: '_quantized' };

/** Folders of immich's exports, which exist only as fp32 (immich's `machine-learning/export`). */
const immichFolder: Record<Tower, string> = { vision: 'visual', text: 'textual' };

/** A model's folder and the subfolders that may contain its files. */
const folders = ['', 'onnx', ...Object.values(immichFolder)];

/** Where exporters put a tower: transformers.js, optimum, immich. */
const towerPaths = (tower: Tower, dtype: ClipDtype): string[] => [
  `onnx/${tower}_model${suffixes[dtype]}.onnx`,
  `${tower}_model${suffixes[dtype]}.onnx`,
  ...(dtype === 'fp32' ? [`${immichFolder[tower]}/model.onnx`] : []),
];

/** optimum's names for a model in one graph: a single tower, or both, which is refused when it is opened. */
const wholePaths = (dtype: ClipDtype): string[] => [
  `onnx/model${suffixes[dtype]}.onnx`,
  `model${suffixes[dtype]}.onnx`,
];

/** Config files of transformers and of open_clip. */
const configs = [['config.json'], ['open_clip_config.json']] as const;

type Side = TowerFiles['side'];

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
 * Finds one tower's files among those of a model. For missing files, returns the names that transformers.js uses.
 *
 * @param present names relative to the model's folder, with slashes
 * @param dtype which export; default: the first of fp32, fp16, q8 that is present
 */
export function layOut(present: readonly string[], tower: Tower, dtype?: ClipDtype): TowerFiles {
  const dtypes = dtype === undefined ? clipDtypes : [dtype];
  const graphs = [
    ...dtypes.flatMap((one) => towerPaths(tower, one).map((graph) => ({ graph, dtype: one }))),
    ...dtypes.flatMap((one) => wholePaths(one).map((graph) => ({ graph, dtype: one }))),
  ];
  const isThere = (names: readonly string[]) => names.every((name) => present.includes(name));
  const [first = { graph: '', dtype: 'fp32' as const }] = graphs;
  return {
    ...(graphs.find(({ graph }) => present.includes(graph)) ?? first),
    config: (configs.find(isThere) ?? configs[0])[0],
    side: sides[tower].find(isThere) ?? sides[tower][0],
  };
}

/** The names of all files that {@link layOut} finds. */
export function towerFiles(present: readonly string[], tower: Tower, dtype?: ClipDtype): string[] {
  const { config, side, graph } = layOut(present, tower, dtype);
  return [...new Set([config, ...side, graph])];
}

/**
 * Names of the files in a model's folder that may belong to the model; empty if the folder does not exist.
 *
 * @throws AppError `assets_missing` if it cannot be read
 */
export async function modelNames(modelDir: string): Promise<string[]> {
  const lists = folders.map(async (folder) => {
    const path = join(modelDir, folder);
    const names = await readdir(path).catch((cause: unknown) => {
      if (isAbsence(cause)) return [];
      throw new AppError('assets_missing', `${path} is not a folder that can be read.`, { cause });
    });
    return names.map((name) => posix.join(folder, name));
  });
  return (await Promise.all(lists)).flat();
}

const isAbsence = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code));

/**
 * Finds one tower of a model.
 *
 * @param dtype which export; default: the first of fp32, fp16, q8 that is present
 * @returns its files, and the graph's `path`
 * @throws AppError `assets_missing` naming the file
 */
export async function findTower(
  modelDir: string,
  tower: Tower,
  dtype?: ClipDtype,
): Promise<TowerFiles & { path: string }> {
  const present = await modelNames(modelDir);
  const files = layOut(present, tower, dtype);
  if (present.includes(files.graph)) return { ...files, path: join(modelDir, files.graph) };
  const dtypes = dtype === undefined ? clipDtypes : [dtype];
  const expected = dtypes.flatMap((one) => towerPaths(tower, one)).join(', ');
  const graphs = present.filter((name) => name.endsWith('.onnx')).join(', ');
  throw new AppError(
    'assets_missing',
    `The model's ${tower} tower is missing in ${modelDir}: expected one of ${expected} but found ${graphs || 'no graph'}.`,
  );
}
