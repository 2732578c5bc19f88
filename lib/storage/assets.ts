import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

/** Where everything that is served comes from. */
export interface Assets {
  /** `starter`: the made-up covers that the project makes itself, since the user gave none. */
  readonly origin: 'user' | 'starter';
  readonly indexPath: string;
  readonly metadataPath: string;
  /** Folder in the Hugging Face layout: `config.json`, `tokenizer.json`, `onnx/…`. */
  readonly clipDir: string;
  /** Folder of `album_{local_id}.jpg`. */
  readonly imagesDir: string;
}

const indexName = 'album_covers.index';
const metadataName = 'valid_metadata_final.json';

/**
 * The starter set: the model that the repository carries, and beside it what `infra/prepare-starter.ts` makes.
 *
 * @param catalogDir folder of covers, list and index
 */
export const starterAssets = (
  starterDir: string,
  catalogDir = join(starterDir, 'catalog'),
): Assets => ({
  origin: 'starter',
  indexPath: join(catalogDir, indexName),
  metadataPath: join(catalogDir, metadataName),
  clipDir: starterDir,
  imagesDir: join(catalogDir, 'images'),
});

/**
 * Decides once what is served: the user's files where all of them are in `modelsDir`, the starter set where
 * none is.
 *
 * @throws AppError `assets_missing` where some are there and others not, naming those that are missing (never
 *   a silent fall-back), where `modelsDir` is no folder, or where the starter set is not prepared.
 */
export async function locateAssets(folders: {
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
  const clipDir = join(modelsDir, 'clip');
  const wanted = await present([
    join(modelsDir, indexName),
    join(modelsDir, metadataName),
    join(clipDir, 'config.json'),
    join(clipDir, 'preprocessor_config.json'),
    join(clipDir, 'tokenizer.json'),
  ]);
  for (const tower of ['vision', 'text']) {
    const path = join(clipDir, 'onnx', `${tower}_model.onnx`);
    wanted.set(path, await hasTower(clipDir, tower));
  }
  const missing = [...wanted].filter(([, there]) => !there).map(([path]) => path);
  if (missing.length === 0)
    return {
      origin: 'user',
      indexPath: join(modelsDir, indexName),
      metadataPath: join(modelsDir, metadataName),
      clipDir,
      imagesDir,
    };
  if (missing.length < wanted.size)
    throw new AppError(
      'assets_missing',
      `MODELS_DIR (${modelsDir}) holds some of the files and not others. Missing: ${missing.join(', ')}. ` +
        'Add them, or remove the rest to run on the starter set.',
    );
  return preparedStarter(starterDir);
}

const preparedStarter = async (starterDir: string): Promise<Assets> => {
  const assets = starterAssets(starterDir);
  const wanted = await present([
    assets.indexPath,
    assets.metadataPath,
    join(starterDir, 'config.json'),
  ]);
  if ([...wanted.values()].every(Boolean)) return assets;
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

/** Whether any dtype of a tower is there; which one is read is the encoder's business. */
const hasTower = async (clipDir: string, tower: string) => {
  const files = await readdir(join(clipDir, 'onnx')).catch(() => []);
  return files.some((name) => name.startsWith(`${tower}_model`) && name.endsWith('.onnx'));
};
