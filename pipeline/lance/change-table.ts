import { AppError } from '../../lib/errors.ts';
import { idsSql } from '../../lib/lance/album-filter.ts';
import { readAbout, type TableAbout } from '../../lib/lance/album-table.ts';
import { notOurs, openTable, servedVersion } from '../../lib/lance/lance-corpus.ts';
import { withLance, type LanceTable } from '../../lib/lance/lance.ts';
import type { LanceLocation } from '../../lib/lance/lance-location.ts';
import { appendSet, inLance, type ImportEvent } from './import-set.ts';
import { publish } from './publish.ts';
import { openSet } from './read-set.ts';

/** Ids in one condition. */
const idsAtATime = 1000;

export type TableEvent =
  | ImportEvent
  | { type: 'added'; albums: number; present: number }
  | { type: 'removed'; albums: number };

interface Begun {
  /** Its newest version has the contents of the served one. */
  table: LanceTable;
  about: TableAbout;
  /** The served version. */
  behind: number;
}

/** Opens a table for a change of the served version. What an interrupted change has left is undone. */
async function begin(location: LanceLocation): Promise<Begun> {
  return withLance(location.place, async () => {
    const table = await openTable(location);
    const newest = await table.version();
    const behind = await servedVersion(table, location);
    if (newest !== behind) {
      await table.checkout(behind);
      await table.restore();
    }
    const about = await readAbout(table);
    if (!about) throw notOurs(location);
    return { table, about, behind };
  });
}

/** Which of the ids the served version has. */
export async function presentIds(
  location: LanceLocation,
  ids: readonly number[],
): Promise<{ about: TableAbout; present: Set<number> }> {
  return withLance(location.place, async () => {
    const table = await openTable(location);
    await table.checkout(await servedVersion(table, location));
    const about = await readAbout(table);
    if (!about) throw notOurs(location);
    return { about, present: await among(table, ids) };
  });
}

async function among(table: LanceTable, ids: readonly number[]): Promise<Set<number>> {
  const present = new Set<number>();
  for (let from = 0; from < ids.length; from += idsAtATime) {
    const where = idsSql(ids.slice(from, from + idsAtATime));
    const rows = await table.query().where(where).select(['local_id']).toArrow();
    for (const id of rows.getChild('local_id') ?? []) present.add(Number(id));
  }
  return present;
}

/**
 * Appends the albums of a set of files, none of which the table may have ({@link presentIds}).
 *
 * @throws AppError `assets_inconsistent` if its embeddings have another dimension, or come from another model
 */
export async function* addSet(
  dir: string,
  location: LanceLocation,
  signal?: AbortSignal,
): AsyncGenerator<TableEvent> {
  const { place } = location;
  const set = await openSet(dir);
  try {
    const { table, about, behind } = await begin(location);
    if (set.dimension !== about.dimension)
      throw new AppError(
        'assets_inconsistent',
        `The embeddings in ${dir} have ${String(set.dimension)} dimensions, those in ${place} ${String(about.dimension)}.`,
      );
    yield* inLance(place, appendSet(table, set, { from: 0, signal }));
    yield* inLance(place, publish(table, { place, about, behind }));
  } finally {
    set.close();
  }
}

/**
 * Removes albums.
 *
 * @param ids public ids
 * @throws AppError `album_not_found` naming the first unknown id, `invalid_parameter` if no album would remain; the table
 *   is unchanged then
 */
export async function* removeFromTable(
  location: LanceLocation,
  ids: readonly number[],
): AsyncGenerator<TableEvent> {
  const { place } = location;
  const { table, about, behind } = await begin(location);
  const present = await withLance(place, () => among(table, ids));
  const unknown = ids.find((id) => !present.has(id));
  if (unknown !== undefined)
    throw new AppError('album_not_found', `No album in ${place} has the id ${String(unknown)}.`);
  if (present.size === about.statistics.totalAlbums)
    throw new AppError('invalid_parameter', 'No album would remain.');
  const gone = [...present];
  for (let from = 0; from < gone.length; from += idsAtATime)
    await withLance(place, () => table.delete(idsSql(gone.slice(from, from + idsAtATime))));
  yield* inLance(place, publish(table, { place, about, behind }));
  yield { type: 'removed', albums: gone.length };
}
