import { readdir } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { coverOwners } from '../indexing/cover-owners.ts';
import { externalDataOf } from '../../lib/clip/external-data.ts';
import { AppError } from '../../lib/errors.ts';
import {
  clipName,
  compactName,
  featuresName,
  indexName,
  manifestName,
  metadataName,
} from '../../lib/assets/assets.ts';
import { coverFileIn, coverName, isCoverName } from '../../lib/assets/covers.ts';
import { isSame } from './content-hash.ts';
import type { Remote, RemoteFile, LocalFile } from './remote.ts';
import { remotePaths, setNames } from './set-layout.ts';

export interface PushOptions {
  remote: Remote;
  /** Folder of index, metadata, manifest and optionally `clip/`. */
  modelsDir: string;
  /** Folder of the covers; if omitted, no covers are pushed. */
  imagesDir?: string | undefined;
  /** Whether to push the model too. */
  withModel: boolean;
  /** Whether to delete remote covers that do not exist locally. */
  prune: boolean;
  /** Only report what would change. */
  dryRun: boolean;
  signal?: AbortSignal | undefined;
}

export type PushEvent =
  | { type: 'compared'; changed: string[]; removed: string[]; unchanged: number }
  | { type: 'shipped'; path: string; done: number; total: number }
  | { type: 'pushed'; files: number; removed: number };

/**
 * Pushes a set of files: only those that the remote lacks or that differ there. The manifest is written last, so that a
 * process that watches it finds the others in place.
 *
 * @throws AppError `assets_missing` if index or metadata are missing here, `catalog_unreadable` if the metadata is
 *   empty or no list, `assets_inconsistent` if two covers would get the same name, `storage_unavailable`
 */
export async function* pushFiles(options: PushOptions): AsyncGenerator<PushEvent> {
  const { remote, dryRun, signal } = options;
  const local = await localFiles(options);
  const remoteFiles = new Map<string, RemoteFile>();
  for await (const file of remote.list(signal)) remoteFiles.set(file.path, file);
  const changed: LocalFile[] = [];
  for (const file of local) {
    signal?.throwIfAborted();
    const there = remoteFiles.get(file.path);
    if (!there || !(await isSame(file.localPath, there))) changed.push(file);
  }
  const inSet = changed.filter(({ path }) => setPaths.includes(path));
  const others = changed.filter(({ path }) => !setPaths.includes(path));
  const gone = goneCovers(options, local, remoteFiles);
  const obsolete = obsoleteFiles(local, remoteFiles, inSet);
  const removed = [...gone, ...obsolete];
  yield {
    type: 'compared',
    changed: changed.map(({ path }) => path),
    removed,
    unchanged: local.length - changed.length,
  };
  if (dryRun || changed.length + removed.length === 0) return;
  let done = 0;
  // Covers and model first, then the set in one step, then the deletion of covers: wherever this is interrupted, the
  // remote has a set that can be served.
  for (const change of [
    { files: others, remove: [] },
    { files: inSet, remove: obsolete },
    { files: [], remove: gone },
  ])
    for await (const path of remote.write(change, signal)) {
      done += 1;
      yield { type: 'shipped', path, done, total: changed.length };
    }
  yield { type: 'pushed', files: changed.length, removed: removed.length };
}

/** In the order of writing: the manifest is last. */
const setPaths: readonly string[] = setNames.map(remotePaths.ofSet);

/** The remote covers to delete. @throws AppError `assets_missing` if there are no local covers at all: a mistake */
function goneCovers(
  { prune, imagesDir }: PushOptions,
  local: readonly LocalFile[],
  remoteFiles: ReadonlyMap<string, RemoteFile>,
): string[] {
  if (!prune) return [];
  const here = new Set(local.map(({ path }) => path));
  if (imagesDir === undefined || !local.some(({ path }) => remotePaths.isCover(path)))
    throw new AppError(
      'assets_missing',
      'There are no local covers: --prune would delete all covers at the target.',
    );
  return [...remoteFiles.keys()].filter((path) => remotePaths.isCover(path) && !here.has(path));
}

/** The remote manifest, compact metadata and features, if they belong to the set that is being replaced and have no replacement. */
function obsoleteFiles(
  local: readonly LocalFile[],
  remoteFiles: ReadonlyMap<string, RemoteFile>,
  inSet: readonly LocalFile[],
): string[] {
  if (inSet.length === 0) return [];
  return [manifestName, compactName, featuresName]
    .map(remotePaths.ofSet)
    .filter((path) => remoteFiles.has(path) && !local.some((file) => file.path === path));
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
  const catalog = await Catalog.open(join(modelsDir, metadataName)); // rejects an empty list
  const files = setNames
    .filter((name) => names.has(name))
    .map((name) => ({ path: remotePaths.ofSet(name), localPath: join(modelsDir, name) }));
  if (withModel) {
    const clipDir = join(modelsDir, clipName);
    const names = await namesIn(clipDir, { recursive: true });
    const weights = new Set<string>();
    for (const graph of names.filter((name) => name.endsWith('.onnx')))
      for (const name of await externalDataOf(join(clipDir, graph)))
        weights.add(join(dirname(graph), name));
    for (const name of weights)
      if (!names.includes(name))
        throw new AppError(
          'assets_missing',
          `${join(clipDir, name)}, weights of a model, is missing.`,
        );
    for (const name of names)
      if (/\.(json|txt|onnx)$/.test(name) || weights.has(name)) {
        const path = remotePaths.ofModel(name.split(sep).join('/'));
        files.push({ path, localPath: join(clipDir, name) });
      }
  }
  if (imagesDir !== undefined)
    for (const [name, file] of await coverFiles(catalog, imagesDir))
      files.push({ path: remotePaths.ofCover(name), localPath: join(imagesDir, file) });
  return files;
}

/** Local covers by their remote name, which is `album_{local_id}.jpg` whatever the metadata calls them. */
async function coverFiles(catalog: Catalog, imagesDir: string): Promise<Map<string, string>> {
  const names = (await namesIn(imagesDir, {})).filter(isCoverName);
  const files = new Map(names.map((name) => [name, name]));
  for (const album of coverOwners(catalog)) {
    const name = coverName(album.id);
    const file = (await coverFileIn(imagesDir, album)) ?? name;
    if (file === name) continue;
    if (isCoverName(file))
      throw new AppError(
        'assets_inconsistent',
        `The metadata gives album ${String(album.id)} the cover file ${file}, which is another album's name: rename it to ${name}.`,
      );
    files.set(name, file);
  }
  return files;
}

/** @throws AppError `assets_missing` */
async function namesIn(dir: string, options: { recursive?: boolean }): Promise<string[]> {
  try {
    return await readdir(dir, options);
  } catch (cause) {
    throw new AppError('assets_missing', `${dir} is not a folder that can be read.`, { cause });
  }
}
