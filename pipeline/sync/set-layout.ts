import { join, posix } from 'node:path';
import { externalDataOf } from '../../lib/clip/external-data.ts';
import { modelNames, towerFiles, type ClipDtype } from '../../lib/clip/model-files.ts';
import {
  clipName,
  compactName,
  featuresName,
  indexName,
  manifestName,
  metadataName,
} from '../../lib/assets/assets.ts';
import { isCoverName } from '../../lib/assets/covers.ts';
import type { Remote } from './remote.ts';
import type { PullPlan } from './pull-files.ts';

/** The files of a set, except the model; they lie in one folder. */
export const setNames: readonly string[] = [
  indexName,
  metadataName,
  compactName,
  featuresName,
  manifestName,
];

/** Paths of a set's files on a remote, as `ASSETS_URI` and the image of a Space expect them. */
export const remotePaths = {
  ofSet: (name: string): string => `models/${name}`,
  ofModel: (name: string): string => `models/${clipName}/${name}`,
  ofCover: (name: string): string => `images/${name}`,
  isCover: (path: string): boolean =>
    path.startsWith('images/') && isCoverName(path.slice('images/'.length)),
};

/**
 * Plans the pull of a catalog. On the remote, the files of the set lie in `models/` or at the top.
 *
 * @param folders.imagesDir `undefined`: no covers are pulled
 */
export const catalogPlan = (folders: {
  modelsDir: string;
  imagesDir: string | undefined;
}): PullPlan => {
  const { modelsDir, imagesDir } = folders;
  return {
    target: (path) => {
      const name = path.replace(/^models\//, '');
      if (setNames.includes(name)) return join(modelsDir, name);
      if (imagesDir === undefined || !remotePaths.isCover(path)) return null;
      return join(imagesDir, path.slice('images/'.length));
    },
    required: [indexName, metadataName].map((name) => join(modelsDir, name)),
    derived: [manifestName, compactName, featuresName].map((name) => join(modelsDir, name)),
  };
};

/** The files that both towers of a model need in some of its dtypes. @param names of all files of the model */
const modelFiles = (names: readonly string[], dtypes: readonly ClipDtype[]): string[] => {
  const towers = ['vision', 'text'] as const;
  const all = dtypes.flatMap((dtype) => towers.flatMap((tower) => towerFiles(names, tower, dtype)));
  return [...new Set(all)];
};

/** Plans the pull of a model in some of its dtypes, laid out as on the remote. */
export async function modelPlan(
  remote: Remote,
  modelDir: string,
  dtypes: readonly ClipDtype[],
  signal?: AbortSignal,
): Promise<PullPlan> {
  const names: string[] = [];
  for await (const { path } of remote.list(signal)) names.push(path);
  const wanted = modelFiles(names, dtypes);
  return {
    // includes weights beside a graph under one of the usual names; others are found once the graph is here
    target: (path) =>
      wanted.includes(path.replace(/\.onnx[._]data.*$/, '.onnx')) ? join(modelDir, path) : null,
    required: wanted.map((path) => join(modelDir, path)),
  };
}

/** Plans the pull of the weights that the local graphs refer to; `null` if the graphs contain them. */
export async function weightsPlan(
  modelDir: string,
  dtypes: readonly ClipDtype[],
): Promise<PullPlan | null> {
  const wanted = new Set<string>();
  for (const file of modelFiles(await modelNames(modelDir), dtypes))
    if (file.endsWith('.onnx'))
      for (const name of await externalDataOf(join(modelDir, file)))
        wanted.add(posix.join(posix.dirname(file), name));
  if (wanted.size === 0) return null;
  return {
    target: (path) => (wanted.has(path) ? join(modelDir, path) : null),
    required: [...wanted].map((path) => join(modelDir, path)),
  };
}
