import { join, posix } from 'node:path';
import { externalDataOf } from '../clip/external-data.ts';
import { modelNames, towerFiles, type ClipDtype } from '../clip/model-files.ts';
import { clipName, featuresName, indexName, manifestName, metadataName } from '../assets/assets.ts';
import { isCoverName } from '../assets/covers.ts';
import type { Depot } from './depot.ts';
import type { Wish } from './pull-files.ts';

/** The files of a set that lie beside each other, but the model. */
export const setNames: readonly string[] = [indexName, metadataName, featuresName, manifestName];

/** Where a place has the files of a set: as `ASSETS_URI` and the image of a Space expect them. */
export const depotPaths = {
  ofSet: (name: string): string => `models/${name}`,
  ofModel: (name: string): string => `models/${clipName}/${name}`,
  ofCover: (name: string): string => `images/${name}`,
  isCover: (path: string): boolean =>
    path.startsWith('images/') && isCoverName(path.slice('images/'.length)),
};

/**
 * What is wanted of a catalog. The files of the index lie in `models/` at their place, or at its top.
 *
 * @param folders.imagesDir left out: covers are not wanted
 */
export const catalogWish = (folders: {
  modelsDir: string;
  imagesDir: string | undefined;
}): Wish => {
  const { modelsDir, imagesDir } = folders;
  return {
    target: (path) => {
      const name = path.replace(/^models\//, '');
      if (setNames.includes(name)) return join(modelsDir, name);
      if (imagesDir === undefined || !depotPaths.isCover(path)) return null;
      return join(imagesDir, path.slice('images/'.length));
    },
    required: [indexName, metadataName].map((name) => join(modelsDir, name)),
    describing: [manifestName, featuresName].map((name) => join(modelsDir, name)),
  };
};

/** What both towers of a model need, in some of its dtypes. @param names what the model's place has */
const modelFiles = (names: readonly string[], dtypes: readonly ClipDtype[]): string[] => {
  const towers = ['vision', 'text'] as const;
  const all = dtypes.flatMap((dtype) => towers.flatMap((tower) => towerFiles(names, tower, dtype)));
  return [...new Set(all)];
};

/** A model, in some of its dtypes, laid out as it is at its place. */
export async function modelWish(
  depot: Depot,
  modelDir: string,
  dtypes: readonly ClipDtype[],
  signal?: AbortSignal,
): Promise<Wish> {
  const names: string[] = [];
  for await (const { path } of depot.list(signal)) names.push(path);
  const wanted = modelFiles(names, dtypes);
  return {
    // weights beside a graph under one of the usual names come with it; the graph is read when it is here
    target: (path) =>
      wanted.includes(path.replace(/\.onnx[._]data.*$/, '.onnx')) ? join(modelDir, path) : null,
    required: wanted.map((path) => join(modelDir, path)),
  };
}

/** What the graphs that are here name as their weights; `null` where they hold them themselves. */
export async function weightsWish(
  modelDir: string,
  dtypes: readonly ClipDtype[],
): Promise<Wish | null> {
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
