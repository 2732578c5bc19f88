import { AppError } from '../../lib/errors.ts';
import { servedTag, writeAbout, type TableAbout } from '../../lib/lance/album-table.ts';
import { albumsInPart, loadLance, type LanceTable } from '../../lib/lance/lance.ts';
import { tableStatistics } from './table-statistics.ts';

/** Fewest albums with an index of their embeddings; fewer are compared one by one, exactly. */
export const fewestIndexed = 20_000;
/** The index is trained again when there are so many times as many albums as it was trained on. */
const outgrown = 4;

/** Versions that are no longer served stay readable for so long, in milliseconds: a day. */
const keptMs = 24 * 60 * 60 * 1000;

export type PublishEvent =
  | { type: 'lance_step'; step: 'compacting' | 'counting' | `indexing ${string}` }
  | { type: 'served'; place: string; version: number; albums: number };

/** What a change starts from and leads to. */
export interface Publication {
  place: string;
  about: Pick<TableAbout, 'dimension' | 'model' | 'trainedOn'>;
  /** The served version when the change began, `undefined`: none. */
  behind: number | undefined;
}

/**
 * Completes the newest version of a table (few large files, indexes of all rows, statistics) and then serves it, in one
 * step: until the tag moves, readers use the version before.
 *
 * @throws AppError `busy` if another process has served a version meanwhile
 */
export async function* publish(
  table: LanceTable,
  { place, about, behind }: Publication,
): AsyncGenerator<PublishEvent> {
  yield { type: 'lance_step', step: 'compacting' };
  await table.optimize({ cleanupOlderThan: new Date(0) }); // removes nothing: old versions are still served
  const trainedOn = yield* makeIndexes(table, about.trainedOn);
  yield { type: 'lance_step', step: 'counting' };
  const statistics = await tableStatistics(table);
  await writeAbout(table, { format: 1, ...about, trainedOn, statistics });
  const version = await table.version();
  const tags = await table.tags();
  const served = servedTag in (await tags.list()) ? await tags.getVersion(servedTag) : undefined;
  if (served !== behind)
    throw new AppError(
      'busy',
      `Another process has changed the table in ${place} meanwhile: repeat this.`,
    );
  if (served === undefined) await tags.create(servedTag, version);
  else await tags.update(servedTag, version);
  yield { type: 'served', place, version, albums: statistics.totalAlbums };
  const kept = behind === undefined ? 0 : keptMs; // nobody uses the steps to the first version
  await table.optimize({ cleanupOlderThan: new Date(Date.now() - kept) });
}

/** Makes the indexes that are missing. @returns the number of albums that the index of embeddings was trained on */
async function* makeIndexes(
  table: LanceTable,
  trainedOn: number | null,
): AsyncGenerator<PublishEvent, number | null> {
  const { Index } = (await loadLance()).lancedb;
  const present = new Set((await table.listIndices()).flatMap(({ columns }) => columns));
  const words = {
    ...{ baseTokenizer: 'whitespace' as const, withPosition: false, lowercase: false },
    ...{ stem: false, removeStopWords: false, asciiFolding: false },
  };
  for (const [column, config] of [
    ['local_id', Index.btree()],
    ['genres', Index.labelList()],
    ['release_year', Index.btree()],
    ['score', Index.btree()],
    ['best_new_music', Index.bitmap()],
    ['terms', Index.fts(words)],
  ] as const) {
    if (present.has(column)) continue;
    yield { type: 'lance_step', step: `indexing ${column}` };
    await table.createIndex(column, { config });
  }
  const albums = await table.countRows();
  const indexed = present.has('embedding') && albums <= outgrown * (trainedOn ?? 0);
  if (indexed || albums < fewestIndexed) return trainedOn;
  yield { type: 'lance_step', step: 'indexing embedding' };
  const config = Index.ivfRq({
    distanceType: 'dot',
    numPartitions: Math.ceil(albums / albumsInPart),
  });
  await table.createIndex('embedding', { config });
  return albums;
}
