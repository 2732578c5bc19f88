import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { metadataName } from '../../lib/assets/assets.ts';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { AppError } from '../../lib/errors.ts';
import type { LanceLocation } from '../../lib/lance/lance-location.ts';
import { buildIndex, type BuildEvent, type BuildOptions } from '../indexing/build-index.ts';
import { readManifest } from '../indexing/file-set.ts';
import { identifyModel } from '../indexing/identify-model.ts';
import { readRows, writeRows } from '../indexing/metadata-file.ts';
import { addSet, presentIds, type TableEvent } from './change-table.ts';
import { importSet } from './import-set.ts';

type TableBuildOptions = Omit<BuildOptions, 'outDir' | 'type' | 'probes' | 'features' | 'shard'> & {
  location: LanceLocation;
  /** Local folder for the embeddings, until they are in the table. */
  workDir: string;
};

export type TableBuildEvent = TableEvent | BuildEvent;

/**
 * Embeds the cover of every album and writes the table: first a set of files in the working folder, by `buildIndex`, then
 * the table by `importSet`. Either can be resumed.
 *
 * @throws AppError as `buildIndex` and `importSet`
 */
export async function* buildTable(options: TableBuildOptions): AsyncGenerator<TableBuildEvent> {
  const { location, workDir, resume, restart, signal } = options;
  const isBuilt = resume === true && (await readManifest(workDir)) !== null;
  if (!isBuilt) yield* buildIndex({ ...options, outDir: workDir, type: 'Flat', features: false });
  // The table has no rows of these files yet, unless its import was interrupted.
  yield* importSet({ dir: workDir, location, resume: isBuilt, restart: restart ?? false, signal });
  await rm(workDir, { recursive: true, force: true });
}

/**
 * Embeds the covers of the albums that the table lacks, and adds them.
 *
 * @throws AppError as `buildIndex` and `addSet`; `assets_inconsistent` if the table was built with another model or dtype
 */
export async function* addToTable(options: TableBuildOptions): AsyncGenerator<TableBuildEvent> {
  const { location, workDir, metadataPath, modelDir, signal } = options;
  const given = await Catalog.open(metadataPath);
  const { about, present } = await presentIds(location, [...given.ids()]);
  const { model } = await identifyModel(modelDir, about.model?.dtype ?? options.dtype);
  if (about.model && JSON.stringify(about.model.files) !== JSON.stringify(model.files))
    throw new AppError(
      'assets_inconsistent',
      `The table in ${location.place} was made with ${about.model.name} (${about.model.dtype}), which is not the model in ${modelDir}.`,
    );
  const fresh = given.size - present.size;
  if (fresh > 0) {
    await mkdir(workDir, { recursive: true });
    const freshPath = join(workDir, `new-${metadataName}`);
    const isFresh = (row: number) => !present.has(given.columns.id(row));
    await writeRows(freshPath, readRows(metadataPath, isFresh));
    const build = { ...options, dtype: model.dtype, metadataPath: freshPath, outDir: workDir };
    yield* buildIndex({ ...build, type: 'Flat', features: false });
    yield* addSet(workDir, location, signal);
    await rm(workDir, { recursive: true, force: true });
  }
  yield { type: 'added', albums: fresh, present: present.size };
}
