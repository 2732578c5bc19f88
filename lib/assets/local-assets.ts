import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { modelNames, towerFiles } from '../clip/model-files.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { refuseLfsPointer } from '../filesystem/files.ts';
import {
  clipName,
  compactName,
  featuresName,
  indexName,
  manifestName,
  metadataName,
  type Assets,
} from './assets.ts';

/**
 * The starter set: model, covers and metadata from the repository, and the index built by `infra/prepare-starter.ts`.
 */
export function starterPaths(starterDir: string) {
  const catalogDir = join(starterDir, 'catalog');
  return {
    indexPath: join(catalogDir, 'index', indexName),
    metadataPath: join(catalogDir, metadataName),
    /** Folder of the model, in one of the layouts of `lib/clip/model-files.ts`. */
    clipDir: starterDir,
    /** Folder of `album_{local_id}.jpg`. */
    imagesDir: join(catalogDir, 'images'),
  };
}

/** A set of files on this machine. */
type AssetPaths = Readonly<ReturnType<typeof starterPaths>>;

function localAssets(origin: Assets['origin'], place: string, paths: AssetPaths): Assets {
  const manifest = join(dirname(paths.indexPath), manifestName);
  const compact = join(dirname(paths.indexPath), compactName);
  const features = join(dirname(paths.indexPath), featuresName);
  return {
    origin,
    place,
    manifest: async () => ((await isFile(manifest)) ? manifest : null),
    version: async () => {
      const found = await stat(manifest).catch(() => null);
      return found ? `${String(found.mtimeMs)} ${String(found.size)} ${String(found.ino)}` : '';
    },
    index: () => Promise.resolve(paths.indexPath),
    metadata: () => Promise.resolve(paths.metadataPath),
    compactMetadata: async () => ((await isFile(compact)) ? compact : null),
    features: async () => ((await isFile(features)) ? features : null),
    clip: () => Promise.resolve(paths.clipDir),
    covers: { kind: 'folder', dir: paths.imagesDir },
  };
}

/**
 * Decides once what is served: the user's files if all of them are in `modelsDir`, the starter set if none is.
 *
 * @param options.albumsElsewhere whether index and metadata are not among the files: then the model alone decides
 * @throws AppError `assets_missing` if only some are present, naming the missing ones (never a silent fallback), if
 *   `modelsDir` is no folder, or if the starter set is not prepared
 */
export async function locateLocalAssets(
  folders: Config['assets'],
  { albumsElsewhere = false } = {},
): Promise<Assets> {
  const { modelsDir, imagesDir, starterDir } = folders;
  if ((await stat(modelsDir).catch(() => null))?.isDirectory() !== true)
    throw new AppError(
      'assets_missing',
      `MODELS_DIR is ${modelsDir}, which is not a folder: create it, or point MODELS_DIR at the folder of ${indexName}.`,
    );
  const user = {
    indexPath: join(modelsDir, indexName),
    metadataPath: join(modelsDir, metadataName),
    clipDir: join(modelsDir, clipName),
    imagesDir,
  };
  const names = await modelNames(user.clipDir);
  const ofModel = [...towerFiles(names, 'vision'), ...towerFiles(names, 'text')];
  const wanted = new Set([
    ...(albumsElsewhere ? [] : [user.indexPath, user.metadataPath]),
    ...ofModel.map((name) => join(user.clipDir, name)),
  ]);
  const missing = await missingOf([...wanted]);
  for (const path of wanted) if (!missing.includes(path)) await refuseLfsPointer(path);
  if (missing.length === 0) return localAssets('user', modelsDir, user);
  if (missing.length < wanted.size)
    throw new AppError(
      'assets_missing',
      `MODELS_DIR (${modelsDir}) holds some of the files and not others. Missing: ${missing.join(', ')}. ` +
        'Add them, or remove the rest to run on the starter set.',
    );
  const starter = starterPaths(starterDir);
  const { indexPath, metadataPath } = starter;
  const unprepared = await missingOf([indexPath, metadataPath, join(starterDir, 'config.json')]);
  if (unprepared.length === 0) return localAssets('starter', starterDir, starter);
  throw new AppError(
    'assets_missing',
    `MODELS_DIR holds none of the user's files, and the starter set in ${starterDir} is not prepared: run npm run setup.`,
  );
}

async function missingOf(paths: readonly string[]): Promise<string[]> {
  const present = await Promise.all(paths.map(isFile));
  return paths.filter((_path, i) => present[i] !== true);
}

const isFile = async (path: string) => (await stat(path).catch(() => null))?.isFile() === true;
