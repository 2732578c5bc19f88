import { isAppError } from '../../lib/errors.ts';
import { embeddingsIn, readAbout } from '../../lib/lance/album-table.ts';
import { LanceCorpus, notOurs, openTable, servedVersion } from '../../lib/lance/lance-corpus.ts';
import { lanceError, type LanceTable } from '../../lib/lance/lance.ts';
import type { LanceLocation } from '../../lib/lance/lance-location.ts';
import type { Finding, VerifyEvent } from '../indexing/verify.ts';
import { tableStatistics } from './table-statistics.ts';

/** Tolerated deviation from length 1. */
const tolerance = 0.01;
/** Stored embeddings with which the index is compared with an exact search. */
const sampleSize = 50;
/** Recall at 10 below which the index is reported. */
const leastRecall = 0.95;

const finding = (
  check: string,
  level: Finding['level'],
  message: string,
  details?: Record<string, unknown>,
): Finding => ({ type: 'finding', check, level, message, ...(details && { details }) });

/** Checks the served version of a table for everything that can be wrong with it. */
export async function* verifyTable(location: LanceLocation): AsyncGenerator<VerifyEvent> {
  try {
    yield* verify(location);
  } catch (error) {
    const refused = isAppError(error) ? error : lanceError(error, location.place);
    yield finding('table', 'error', refused.detail, { code: refused.code });
  }
}

async function* verify(location: LanceLocation): AsyncGenerator<VerifyEvent> {
  const table = await openTable(location);
  const version = await servedVersion(table, location);
  const newest = await table.version();
  await table.checkout(version);
  const about = await readAbout(table);
  if (!about) throw notOurs(location);
  const { totalAlbums } = about.statistics;
  const made = about.model ? `, made with ${about.model.name} (${about.model.dtype})` : '';
  yield finding(
    'table',
    'ok',
    `version ${String(version)}: ${totalAlbums.toLocaleString('en')} albums${made}`,
  );
  if (newest > version)
    yield finding(
      'versions',
      'note',
      `version ${String(newest)} is newer and not served: a change is under way, or was interrupted`,
    );
  const statistics = await tableStatistics(table);
  yield JSON.stringify(statistics) === JSON.stringify(about.statistics)
    ? finding('statistics', 'ok', 'fit the albums')
    : finding('statistics', 'error', 'do not fit the albums: import the table again');
  yield* checkVectors(table, totalAlbums);
  yield* checkIndexes(table, about.trainedOn);
  if (about.trainedOn !== null) yield await checkRecall(table, location);
}

/** Ids that occur twice, and embeddings that are not of length 1. */
async function* checkVectors(table: LanceTable, total: number): AsyncGenerator<VerifyEvent> {
  const ids = new Set<number>();
  const [twice, odd]: [number[], number[]] = [[], []];
  let done = 0;
  for await (const batch of table.query().select(['local_id', 'embedding'])) {
    const rows = batch.getChild('local_id');
    const values = batch.getChild('embedding');
    for (let row = 0; row < batch.numRows; row += 1) {
      const id = Number(rows?.get(row));
      if (ids.has(id)) twice.push(id);
      ids.add(id);
      const vector = (values?.get(row) as { toArray(): Float32Array }).toArray();
      const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
      if (!(Math.abs(length - 1) <= tolerance)) odd.push(id);
    }
    done += batch.numRows;
    yield { type: 'progress', check: 'vectors', done, total };
  }
  yield twice.length === 0
    ? finding('ids', 'ok', 'none twice')
    : finding('ids', 'error', `${String(twice.length)} occur twice: ${some(twice)}`, { twice });
  yield odd.length === 0
    ? finding('norms', 'ok', 'every vector has length 1')
    : finding(
        'norms',
        'error',
        `${String(odd.length)} vectors are not of length 1: albums ${some(odd)}`,
        { odd },
      );
}

const some = (ids: readonly number[]) => ids.slice(0, 5).join(', ') + (ids.length > 5 ? ', …' : '');

async function* checkIndexes(
  table: LanceTable,
  trainedOn: number | null,
): AsyncGenerator<VerifyEvent> {
  const wanted = ['local_id', 'genres', 'release_year', 'score', 'best_new_music', 'terms'];
  if (trainedOn !== null) wanted.push('embedding');
  const indexes = await table.listIndices();
  const wrong: string[] = [];
  for (const column of wanted) {
    const index = indexes.find(({ columns }) => columns[0] === column);
    const left = index && (await table.indexStats(index.name))?.numUnindexedRows;
    if (left !== 0) wrong.push(column);
  }
  yield wrong.length === 0
    ? finding('indexes', 'ok', `cover every album: ${wanted.join(', ')}`)
    : finding(
        'indexes',
        'warning',
        `do not cover every album, which makes searches slower: ${wrong.join(', ')}`,
      );
}

/** Compares searches as the service makes them with exact ones, for stored embeddings mixed in pairs. */
async function checkRecall(table: LanceTable, location: LanceLocation): Promise<Finding> {
  const corpus = new LanceCorpus(location);
  const sample = await table
    .query()
    .limit(2 * sampleSize)
    .select(['embedding'])
    .toArrow();
  const vectors = embeddingsIn(sample);
  let found = 0;
  for (let i = 0; i < sampleSize; i += 1) {
    const [one, other] = [vectors[2 * i], vectors[2 * i + 1]];
    if (!one || !other) continue;
    const mixed = one.map((value, at) => 0.7 * value + 0.3 * (other[at] ?? 0));
    const length = Math.hypot(...mixed);
    const query = mixed.map((value) => value / length);
    const exact = await table
      .query()
      .nearestTo(query)
      .distanceType('dot')
      .bypassVectorIndex()
      .select(['local_id', '_distance'])
      .limit(10)
      .toArrow();
    const ids = new Set(Array.from(exact.getChild('local_id') ?? [], Number));
    const nearest = await corpus.nearest(query, { k: 10, filter: {} });
    found += nearest.filter(({ album }) => ids.has(album.id)).length;
  }
  const recall = found / (10 * sampleSize);
  return finding(
    'recall',
    recall >= leastRecall ? 'ok' : 'warning',
    `recall@10 ${recall.toFixed(3)} on a sample of ${String(sampleSize)}`,
    { recall_at_10: recall },
  );
}
