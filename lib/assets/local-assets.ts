import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { modelNames, towerFiles } from '../clip/model-files.ts';
import { AppError } from '../errors.ts';
import { refuseLfsPointer } from '../filesystem/files.ts';
import {
  clipName,
  featuresName,
  indexName,
  manifestName,
  metadataName,
  type Assets,
} from './assets.ts';

/** A set of files on this machine. */
export interface AssetPaths {
  readonly indexPath: string;
  readonly metadataPath: string;
  /** Folder of the model, in one of the layouts of `lib/clip/model-files.ts`. */
  readonly clipDir: string;
  /** Folder of `album_{local_id}.jpg`. */
  readonly imagesDir: string;
}

/**
 * The starter set: model, covers and metadata from the repository, and the index built by `infra/prepare-starter.ts`.
 */
export function starterPaths(starterDir: string): AssetPaths {
  const catalogDir = join(starterDir, 'catalog');
  return {
    indexPath: join(catalogDir, 'index', indexName),
    metadataPath: join(catalogDir, metadataName),
    clipDir: starterDir,
    imagesDir: join(catalogDir, 'images'),
  };
}

const manifestOf = ({ indexPath }: AssetPaths) => join(dirname(indexPath), manifestName);
const featuresOf = ({ indexPath }: AssetPaths) => join(dirname(indexPath), featuresName);

const localAssets = (origin: Assets['origin'], place: string, paths: AssetPaths): Assets => ({
  origin,
  place,
  manifest: async () => ((await isFile(manifestOf(paths))) ? manifestOf(paths) : null),
  version: async () => {
    const found = await stat(manifestOf(paths)).catch(() => null);
    return found ? `${String(found.mtimeMs)} ${String(found.size)} ${String(found.ino)}` : '';
  },
  index: () => Promise.resolve(paths.indexPath),
  metadata: () => Promise.resolve(paths.metadataPath),
  features: async () => ((await isFile(featuresOf(paths))) ? featuresOf(paths) : null),
  clip: () => Promise.resolve(paths.clipDir),
  covers: { kind: 'folder', dir: paths.imagesDir },
});

/**
 * Decides once what is served: the user's files if all of them are in `modelsDir`, the starter set if none is.
 *
 * @throws AppError `assets_missing` if only some are present, naming the missing ones (never a silent fallback), if
 *   `modelsDir` is no folder, or if the starter set is not prepared
 */
export async function locateLocalAssets(folders: {
  modelsDir: string;
  imagesDir: string;
  starterDir: string;
}): Promise<Assets> {
  const { modelsDir, imagesDir, starterDir } = folders;
  if (!(await isFolder(modelsDir)))
    throw new AppError(
      'assets_missing',
      `MODELS_DIR is ${modelsDir}, which is not a folder: create it, or point MODELS_DIR at the folder of ${indexName}.`,
    );
  const clipDir = join(modelsDir, clipName);
  const names = await modelNames(clipDir);
  const ofModel = (['vision', 'text'] as const).flatMap((tower) => towerFiles(names, tower));
  const wanted = await present([
    join(modelsDir, indexName),
    join(modelsDir, metadataName),
    ...ofModel.map((name) => join(clipDir, name)),
  ]);
  for (const [path, there] of wanted) if (there) await refuseLfsPointer(path);
  const missing = [...wanted].filter(([, there]) => !there).map(([path]) => path);
  if (missing.length === 0)
    return localAssets('user', modelsDir, {
      indexPath: join(modelsDir, indexName),
      metadataPath: join(modelsDir, metadataName),
      clipDir,
      imagesDir,
    });
  if (missing.length < wanted.size)
    throw new AppError(
      'assets_missing',
      `MODELS_DIR (${modelsDir}) holds some of the files and not others. Missing: ${missing.join(', ')}. ` +
        'Add them, or remove the rest to run on the starter set.',
    );
  return preparedStarter(starterDir);
}

const preparedStarter = async (starterDir: string): Promise<Assets> => {
  const paths = starterPaths(starterDir);
  const wanted = await present([
    paths.indexPath,
    paths.metadataPath,
    join(starterDir, 'config.json'),
  ]);
  if ([...wanted.values()].every(Boolean)) return localAssets('starter', starterDir, paths);
  throw new AppError(
    'assets_missing',
    `MODELS_DIR holds none of the user's files, and the starter set in ${starterDir} is not prepared: run npm run setup.`,
  );
};

const present = async (paths: readonly string[]): Promise<Map<string, boolean>> =>
  new Map(await Promise.all(paths.map(async (path) => [path, await isFile(path)] as const)));

const isFile = async (path: string) => (await stat(path).catch(() => null))?.isFile() === true;
const isFolder = async (path: string) =>
  (await stat(path).catch(() => null))?.isDirectory() === true;
