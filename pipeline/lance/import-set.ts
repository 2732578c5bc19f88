import { indexName, metadataName } from '../../lib/assets/assets.ts';
import { digestFile } from '../../lib/assets/manifest.ts';
import { AppError } from '../../lib/errors.ts';
import {
  readAbout,
  readSource,
  servedTag,
  tableName,
  tableSchema,
  toRows,
} from '../../lib/lance/album-table.ts';
import { openTable } from '../../lib/lance/lance-corpus.ts';
import { lanceError, loadLance, withLance, type LanceTable } from '../../lib/lance/lance.ts';
import type { LanceLocation } from '../../lib/lance/lance-location.ts';
import { join } from 'node:path';
import { publish, type PublishEvent } from './publish.ts';
import { openSet, type OpenSet } from './read-set.ts';

/** Albums that are written at a time: 20 MB of embeddings. An interrupted import continues after the last ones. */
const blockSize = 10_000;

export interface ImportOptions {
  /** Folder of index, metadata and, perhaps, manifest. */
  dir: string;
  location: LanceLocation;
  /** Continue an interrupted import of the same files. */
  resume?: boolean | undefined;
  /** Discard it. */
  restart?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Albums that are written at a time; for tests. */
  block?: number;
}

export type ImportEvent =
  | PublishEvent
  | { type: 'resumed'; done: number; total: number }
  | { type: 'wrote_albums'; done: number; total: number };

/**
 * Writes a set of files to a table, in place of what it holds. Readers use the old version until the new one is complete.
 *
 * @throws AppError as `openSet` and `lanceError`; `assets_inconsistent` if an import was interrupted and neither `resume`
 *   nor `restart` is set, or if it was of other files
 */
export async function* importSet(options: ImportOptions): AsyncGenerator<ImportEvent> {
  const { dir, location, signal } = options;
  const { place } = location;
  const set = await openSet(dir);
  try {
    const { table, done, behind } = await begin(options, set);
    const total = set.catalog.size;
    if (done > 0) yield { type: 'resumed', done, total };
    yield* inLance(place, appendSet(table, set, { from: done, signal, block: options.block }));
    const about = { dimension: set.dimension, model: set.manifest?.model ?? null, trainedOn: null };
    yield* inLance(place, publish(table, { place, about, behind }));
  } finally {
    set.close();
  }
}

/** Opens the table of an interrupted import, or starts a new version without rows. */
async function begin(
  { dir, location, resume = false, restart = false }: ImportOptions,
  set: OpenSet,
): Promise<{ table: LanceTable; done: number; behind: number | undefined }> {
  const digests = await Promise.all(
    [indexName, metadataName].map(async (name) => (await digestFile(join(dir, name))).sha256),
  );
  const source = digests.join(' ');
  const { lancedb } = await loadLance();
  const present = await withLance(location.place, () => openTable(location)).catch(
    (error: unknown) => {
      const refused = lanceError(error, location.place);
      if (refused.code === 'assets_missing') return undefined;
      throw refused;
    },
  );
  return withLance(location.place, async () => {
    const tags = await (await present?.tags())?.list();
    const behind = tags?.[servedTag] && (await (await present?.tags())?.getVersion(servedTag));
    const interrupted = present && (await readAbout(present)) === undefined;
    if (interrupted && !restart) {
      const same = (await readSource(present)) === source;
      if (!resume || !same)
        throw new AppError(
          'assets_inconsistent',
          resume
            ? `The interrupted import into ${location.place} was of other files: start over with --restart.`
            : `An import into ${location.place} was interrupted: continue with --resume, or start over with --restart.`,
        );
      return { table: present, done: await present.countRows(), behind };
    }
    const { database, storageOptions } = location;
    const connection = await lancedb.connect(database, { storageOptions });
    const schema = await tableSchema(set.dimension, source);
    // A new version of the same table: the served one stays readable.
    const table = await connection.createEmptyTable(tableName, schema, {
      mode: present ? 'overwrite' : 'create',
    });
    return { table, done: 0, behind };
  });
}

/** Appends the albums of a set to the newest version. @param how.from the first row */
export async function* appendSet(
  table: LanceTable,
  set: OpenSet,
  how: { from: number; signal: AbortSignal | undefined; block?: number | undefined },
): AsyncGenerator<ImportEvent> {
  const { from, signal, block = blockSize } = how;
  const { catalog, dimension } = set;
  const schema = await tableSchema(dimension, (await readSource(table)) ?? '');
  const buffer = new Float32Array(Math.min(block, catalog.size) * dimension);
  let [row, filled] = [from, 0];
  const write = async () => {
    const count = filled / dimension;
    const albums = Array.from({ length: count }, (_, i) => catalog.atRow(row + i));
    await table.add(await toRows(schema, albums, buffer.slice(0, filled)));
    row += count;
    filled = 0;
  };
  for await (const vectors of set.vectors(from))
    for (let at = 0; at < vectors.length;) {
      const part = vectors.subarray(at, at + buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < buffer.length) continue;
      await write();
      yield { type: 'wrote_albums', done: row, total: catalog.size };
      signal?.throwIfAborted();
    }
  if (filled > 0) await write();
  yield { type: 'wrote_albums', done: row, total: catalog.size };
}

/** Passes events on. @throws AppError as `lanceError` */
export async function* inLance<Event>(
  place: string,
  events: AsyncGenerator<Event>,
): AsyncGenerator<Event> {
  try {
    yield* events;
  } catch (error) {
    // Ctrl-C, and errors of the disk that files are read from
    if (error instanceof Error && (error.name === 'Interrupted' || 'syscall' in error)) throw error;
    throw lanceError(error, place);
  }
}
