import { readdir } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { AppError } from '../errors.ts';
import { clipName, indexName, manifestName, metadataName } from '../storage/assets.ts';
import { isCoverName } from '../storage/covers.ts';
import { isSame } from './content-hash.ts';
import type { Depot, DepotFile, LocalFile } from './depot.ts';
import { depotPaths, setNames } from './set-layout.ts';

export interface PushOptions {
  depot: Depot;
  /** Folder of index, metadata, manifest and, maybe, `clip/`. */
  modelsDir: string;
  /** Folder of the covers; left out, they are not shipped. */
  imagesDir?: string | undefined;
  /** Whether the model goes too. */
  withModel: boolean;
  /** Whether covers that are there and not here are taken away. */
  prune: boolean;
  /** Only tell what would be done. */
  dryRun: boolean;
  signal?: AbortSignal | undefined;
}

export type PushEvent =
  | { type: 'compared'; changed: string[]; removed: string[]; unchanged: number }
  | { type: 'shipped'; path: string; done: number; total: number }
  | { type: 'pushed'; files: number; removed: number };

/**
 * Ships a set of files: only what is another there, or is not there. The manifest goes last: who watches it finds
 * the others in place.
 *
 * @throws AppError `assets_missing` where index or metadata are not here, `storage_unavailable`
 */
export async function* pushFiles(options: PushOptions): AsyncGenerator<PushEvent> {
  const { depot, prune, dryRun, signal } = options;
  const local = await localFiles(options);
  const remote = new Map<string, DepotFile>();
  for await (const file of depot.list()) remote.set(file.path, file);
  const changed: LocalFile[] = [];
  for (const file of local) {
    const there = remote.get(file.path);
    if (!there || !(await isSame(file.localPath, there))) changed.push(file);
    signal?.throwIfAborted();
  }
  const here = new Set(local.map(({ path }) => path));
  const removed = prune
    ? [...remote.keys()].filter((path) => depotPaths.isCover(path) && !here.has(path))
    : [];
  yield {
    type: 'compared',
    changed: changed.map(({ path }) => path),
    removed,
    unchanged: local.length - changed.length,
  };
  if (dryRun || changed.length + removed.length === 0) return;
  const isLast = ({ path }: LocalFile) => path === depotPaths.ofSet(manifestName);
  let done = 0;
  // In two goes, since a place may write several files at a time.
  for (const change of [
    { files: changed.filter((file) => !isLast(file)), remove: removed },
    { files: changed.filter(isLast), remove: [] },
  ])
    for await (const path of depot.write(change, signal)) {
      done += 1;
      yield { type: 'shipped', path, done, total: changed.length };
    }
  yield { type: 'pushed', files: changed.length, removed: removed.length };
}

async function localFiles(options: PushOptions): Promise<LocalFile[]> {
  const { modelsDir, imagesDir, withModel } = options;
  const names = new Set(await readdir(modelsDir).catch(() => [] as string[]));
  for (const name of [indexName, metadataName])
    if (!names.has(name))
      throw new AppError(
        'assets_missing',
        `${join(modelsDir, name)} is missing: there is no set to push.`,
      );
  const files = setNames
    .filter((name) => names.has(name))
    .map((name) => ({ path: depotPaths.ofSet(name), localPath: join(modelsDir, name) }));
  if (withModel)
    for (const name of await readdir(join(modelsDir, clipName), { recursive: true }))
      if (/\.(json|onnx)$/.test(name)) {
        const path = depotPaths.ofModel(name.split(sep).join('/'));
        files.push({ path, localPath: join(modelsDir, clipName, name) });
      }
  if (imagesDir !== undefined)
    for (const name of await readdir(imagesDir))
      if (isCoverName(name))
        files.push({ path: depotPaths.ofCover(name), localPath: join(imagesDir, name) });
  return files;
}
