import { join } from 'node:path';
import { Catalog } from '../../lib/catalog/catalog.ts';
import type { ClipDtype } from '../../lib/clip/model-files.ts';
import { AppError } from '../../lib/errors.ts';
import type { CoverFeatures } from '../../lib/identify/feature-file.ts';
import { writeFeatureFile } from './write-features.ts';
import { FeatureIndex } from '../../lib/identify/feature-index.ts';
import { native } from '../../lib/identify/native.ts';
import { featuresName, indexName, metadataName } from '../../lib/assets/assets.ts';
import { inLockedFolder } from '../folder-lock.ts';
import { openEmbeddings } from '../../lib/vectors/open-embeddings.ts';
import type { VectorIndex } from '../../lib/vectors/vector-index.ts';
import { assembleIndex } from './assemble.ts';
import { makeFeatures, type FeatureEvent } from './cover-features.ts';
import { coverOwners } from './cover-owners.ts';
import { embedCovers, type EmbedEvent } from './embed-covers.ts';
import { FileSet, readManifest } from './file-set.ts';
import { identifyModel } from './identify-model.ts';
import { concatRows, hashRows, readRows, type RowGroups } from './metadata-file.ts';
import type { Manifest } from '../../lib/assets/manifest.ts';

export type ChangeEvent =
  | EmbedEvent
  | FeatureEvent
  | { type: 'added'; albums: number; present: number }
  | { type: 'removed'; albums: number }
  | { type: 'written'; outDir: string; manifest: Manifest };

/** The existing set. */
interface Present {
  dir: string;
  index: VectorIndex;
  catalog: Catalog;
  manifest: Manifest;
}

/** The new content of a set. */
interface Change {
  rows: RowGroups;
  /** Number of rows. */
  size: number;
  skipped: number[];
  /** Old rows to remove. */
  gone: ReadonlySet<number>;
  /** Features of the added albums. */
  newFeatures: readonly CoverFeatures[];
}

export interface AddOptions {
  /** Folder of the set to change. */
  dir: string;
  /** Metadata of the new albums; albums already in the set are ignored. */
  metadataPath: string;
  imagesDir: string;
  modelDir: string;
  resume?: boolean;
  /** Discard an interrupted run. */
  restart?: boolean;
  /** Continue even if most covers are missing. */
  allowMissing?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Appends albums to a set, without embedding the old ones again.
 *
 * @throws AppError `assets_inconsistent` if the set was built with another model or dtype, and as `buildIndex`
 */
export const addToIndex = (options: AddOptions): AsyncGenerator<ChangeEvent> =>
  inLockedFolder(options.dir, () => add(options));

async function* add(options: AddOptions): AsyncGenerator<ChangeEvent> {
  const {
    dir,
    metadataPath,
    imagesDir,
    modelDir,
    resume = false,
    restart = false,
    signal,
  } = options;
  const { allowMissing } = options;
  const present = await openSet(dir);
  const { dtype } = present.manifest.model;
  const identity = await identifyModel(modelDir, dtype);
  assertSameModel(dir, present.manifest, identity.model);
  const given = await Catalog.open(metadataPath);
  const fresh = coverOwners(given).filter(({ id }) => present.catalog.rowOf(id) === undefined);
  if (fresh.length === 0) {
    yield { type: 'added', albums: 0, present: given.size };
    return;
  }
  const journal = yield* embedCovers({
    albums: fresh,
    ...{ imagesDir, modelDir, dtype, outDir: dir, resume, restart, allowMissing, signal },
    plan: {
      metadata: await hashRows(metadataPath),
      model: identity.model,
      behind: present.manifest.files,
    },
  });
  try {
    for await (const block of journal.vectors()) present.index.add(block);
    const gone = new Set(journal.skipped.map(({ position }) => position));
    const added = fresh.filter((_, position) => !gone.has(position));
    const addedIds = new Set(added.map(({ id }) => id));
    const newFeatures = present.manifest.files[featuresName]
      ? yield* makeFeatures(added, imagesDir, signal)
      : [];
    const skipped = journal.skipped.map(({ albumId }) => albumId);
    const manifest = await writeSet(present, {
      rows: concatRows(
        readRows(join(dir, metadataName)),
        readRows(metadataPath, (row) => addedIds.has(given.columns.id(row))),
      ),
      size: present.catalog.size + added.length,
      gone: new Set(),
      newFeatures,
      skipped: [...new Set([...present.manifest.skipped, ...skipped])],
    });
    await journal.remove();
    yield { type: 'added', albums: added.length, present: given.size - fresh.length };
    yield { type: 'written', outDir: dir, manifest };
  } finally {
    await journal.close().catch(() => undefined); // it may have been removed
  }
}

/**
 * Removes albums from a set. The vectors of the others are kept; an index whose type cannot remove rows is rebuilt from
 * them.
 *
 * @param albumIds public ids
 * @throws AppError `album_not_found` naming the first unknown id, `invalid_parameter` if no album would remain; the set is
 *   unchanged then
 */
export const removeFromIndex = (
  dir: string,
  albumIds: readonly number[],
): AsyncGenerator<ChangeEvent> => inLockedFolder(dir, () => remove(dir, albumIds));

async function* remove(dir: string, albumIds: readonly number[]): AsyncGenerator<ChangeEvent> {
  const present = await openSet(dir);
  const rows = albumIds.map((albumId) => {
    const row = present.catalog.rowOf(albumId);
    if (row === undefined)
      throw new AppError('album_not_found', `No album in ${dir} has the id ${String(albumId)}.`);
    return row;
  });
  const gone = new Set(rows);
  if (gone.size === present.catalog.size)
    throw new AppError(
      'invalid_parameter',
      `These are all the albums in ${dir}: a set needs at least one, so nothing is removed.`,
    );
  const change: Change = {
    rows: readRows(join(dir, metadataName), (row) => !gone.has(row)),
    size: present.catalog.size - gone.size,
    skipped: present.manifest.skipped,
    ...{ gone, newFeatures: [] },
  };
  const manifest = present.index.removesRows
    ? (present.index.remove([...gone]), await writeSet(present, change))
    : await rebuildSet(present, change);
  yield { type: 'removed', albums: gone.size };
  yield { type: 'written', outDir: dir, manifest };
}

/** @throws AppError if a file is missing or damaged, or the files do not match each other */
async function openSet(dir: string): Promise<Present> {
  await FileSet.recover(dir);
  const manifest = await readManifest(dir);
  if (!manifest)
    throw new AppError(
      'assets_missing',
      `${dir} has no manifest.json, so it is unknown how its index was built: build it again with index build.`,
    );
  if (manifest.files[featuresName]) native(); // fails before an hour of embedding if the addon is missing
  const catalog = await Catalog.open(join(dir, metadataName));
  const { index } = await openEmbeddings(join(dir, indexName), catalog.ids());
  if (index.hasOwnOrder)
    throw new AppError(
      'assets_inconsistent',
      `The index in ${dir} has ids of its own, so albums can't be added or removed: build it again with index build.`,
    );
  return { dir, index, catalog, manifest };
}

function assertSameModel(
  dir: string,
  { model }: Manifest,
  other: { name: string; dtype: ClipDtype; files: Record<string, string> },
): void {
  if (JSON.stringify(model.files) === JSON.stringify(other.files)) return;
  throw new AppError(
    'assets_inconsistent',
    `The index in ${dir} was made with another model (${model.name}, ${model.dtype}) than the one given (${other.name}, ${other.dtype}): their vectors can't be compared.`,
  );
}

async function writeSet(present: Present, change: Change): Promise<Manifest> {
  const { dir, index, manifest } = present;
  const set = await FileSet.begin(dir);
  try {
    await index.write(set.indexPath);
    return await finishSet(set, present, { ...manifest.index, vectors: index.size }, change);
  } catch (error) {
    await set.abandon();
    throw error;
  }
}

async function rebuildSet(present: Present, change: Change): Promise<Manifest> {
  const { dir, index, manifest } = present;
  const set = await FileSet.begin(dir);
  try {
    const assembling = assembleIndex(set.indexPath, {
      vectors: () => keptVectors(index, change.gone),
      dimension: index.dimension,
      size: change.size,
      type: manifest.index.type,
      probes: index.probes || undefined,
    });
    let step = await assembling.next();
    while (step.done !== true) step = await assembling.next();
    return await finishSet(set, present, step.value, change);
  } catch (error) {
    await set.abandon();
    throw error;
  }
}

async function finishSet(
  set: FileSet,
  { dir, manifest }: Present,
  index: Manifest['index'],
  { rows, skipped, gone, newFeatures }: Change,
): Promise<Manifest> {
  await set.writeMetadata(rows);
  if (manifest.files[featuresName])
    await changeFeatures(join(dir, featuresName), set.featuresPath, gone, newFeatures);
  const { model, preprocessing, shard } = manifest;
  return set.finish({ model, preprocessing, index, skipped, ...(shard && { shard }) });
}

/** Copies the features that stay, with their list assignments, and appends the new ones. */
async function changeFeatures(
  from: string,
  to: string,
  gone: ReadonlySet<number>,
  added: readonly CoverFeatures[],
): Promise<void> {
  const index = await FeatureIndex.open(from);
  try {
    const kept: CoverFeatures[] = [];
    let row = 0;
    for await (const cover of index.covers()) if (!gone.has(row++)) kept.push(cover);
    await writeFeatureFile(to, [...kept, ...added], index.centres);
  } finally {
    index.close();
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- read like the vectors of a file
async function* keptVectors(
  index: VectorIndex,
  gone: ReadonlySet<number>,
): AsyncGenerator<Float32Array> {
  for (let row = 0; row < index.size; row += 1) if (!gone.has(row)) yield index.vectorOf(row);
}
