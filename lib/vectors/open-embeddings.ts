import { AppError } from '../errors.ts';
import { metadataName } from '../assets/assets.ts';
import { recallOf, sampleQueries } from './sample-queries.ts';
import { VectorIndex } from './vector-index.ts';

/** Tolerated deviation from length 1 of vectors stored as float32. */
const tolerance = 0.01;
/** Tolerated lengths of vectors stored as codes: PCA and coarse codes shorten them, no type makes them much longer. */
const [shortest, longest] = [0.1, 1.25];

/** Number of vectors whose length is checked, spread over the index: all of them in a catalog of ordinary size. */
const sampleSize = 100_000;

/**
 * Opens an index of embeddings ({@link prepareEmbeddings}).
 *
 * @param albumIds the albums' ids (`local_id`) in list order; a promise if the list is still being read
 * @throws AppError `index_unreadable` or `assets_inconsistent`; the rejection of `albumIds`
 */
export async function openEmbeddings(
  path: string,
  albumIds: ArrayLike<number> | Promise<ArrayLike<number>>,
): Promise<{ index: VectorIndex; warnings: string[] }> {
  const opening = VectorIndex.open(path);
  try {
    const [index, ids] = await Promise.all([opening, albumIds]);
    return { index, warnings: await prepareEmbeddings(index, path, ids) };
  } catch (error) {
    opening.then(
      (index) => {
        index.dispose();
      },
      () => undefined,
    );
    throw error;
  }
}

/**
 * Checks that an index holds embeddings, and prepares it: rows in the order of the list of albums, and every vector of
 * length 1, so that inner products are cosines.
 *
 * - Ids in the file (`IndexIDMap`, `add_with_ids`) are mapped to rows if they are the albums' ids, or the rows.
 * - Vectors of another length are scaled if the type stores vectors unchanged.
 * - An inverted file that visits a single cell is set to visit as many as recall requires.
 *
 * @returns the problems found and corrected, one sentence each
 * @throws AppError `index_unreadable` if vectors are not embeddings, `assets_inconsistent` if it does not fit the list
 */
export async function prepareEmbeddings(
  index: VectorIndex,
  path: string,
  albumIds: ArrayLike<number>,
): Promise<string[]> {
  if (index.size !== albumIds.length)
    throw new AppError(
      'assets_inconsistent',
      `${path} holds ${String(index.size)} vectors but ${metadataName} lists ${String(albumIds.length)} albums: ` +
        'expected one album for each vector, in the same order.',
    );
  orderRows(index, path, albumIds);
  if (!index.givesVectors) return [];
  await trySearch(index, path);
  return [...(await checkLengths(index, path)), ...(await chooseProbes(index))];
}

/** FAISS loads an index with contradictory parts (dimensions, or whether it is trained), and fails at a search. */
async function trySearch(index: VectorIndex, path: string): Promise<void> {
  try {
    await index.lengthsOf(Uint32Array.of(0));
    await index.search(new Float32Array(index.dimension).fill(1), 1); // stored NaN is reported later
  } catch (cause) {
    throw new AppError(
      'index_unreadable',
      `${path} is not a readable FAISS index: it is damaged, its parts do not match.`,
      { cause },
    );
  }
}

/** Maps vectors to rows if the file identifies them by ids. */
function orderRows(index: VectorIndex, path: string, albumIds: ArrayLike<number>): void {
  const { ids } = index;
  if (!ids) return;
  const rowOf = new Map(Array.from(albumIds, (id, row) => [id, row]));
  const asRows = (row: (id: number) => number | undefined): Int32Array | null => {
    const rows = Int32Array.from(ids, (id) => row(id) ?? -1);
    const once = new Set(rows);
    return once.size === rows.length && !once.has(-1) ? rows : null;
  };
  const rows = asRows((id) => rowOf.get(id)) ?? asRows((id) => (id in albumIds ? id : undefined));
  if (!rows) {
    const strange = ids.find((id) => !rowOf.has(id));
    throw new AppError(
      'assets_inconsistent',
      `${path} names its vectors by ids that are neither those of the albums nor their places in the list (${strange === undefined ? 'one comes twice' : `the first is ${String(strange)}`}): build it again without ids, in the order of the list.`,
    );
  }
  index.setRows(rows);
}

/**
 * Finds rows whose vector does not have an embedding's length; in a large index, among 100,000 of them.
 *
 * @returns the rows without a valid length (`none`: NaN, infinite or zero), the `other` ones, and the length of one of
 *   these as an `example`
 */
export async function findOddRows(index: VectorIndex) {
  const step = Math.max(1, Math.ceil(index.size / sampleSize));
  const rows = Uint32Array.from({ length: Math.ceil(index.size / step) }, (_, i) => i * step);
  const [least, most] = index.exact ? [1 - tolerance, 1 + tolerance] : [shortest, longest];
  const odd = { none: [] as number[], other: [] as number[], example: 1 };
  for (const [i, length] of (await index.lengthsOf(rows)).entries()) {
    const row = i * step;
    if (!(length > 0 && length < Infinity)) odd.none.push(row);
    else if (length < least || length > most) {
      odd.other.push(row);
      odd.example = length;
    }
  }
  return odd;
}

async function checkLengths(index: VectorIndex, path: string): Promise<string[]> {
  const { none, other, example } = await findOddRows(index);
  if (none.length > 0)
    throw new AppError(
      'index_unreadable',
      `${path} has ${String(none.length)} ${none.length === 1 ? 'vector that is' : 'vectors that are'} no embedding (NaN, or all zero), in the rows ${none.slice(0, 5).join(', ')}${none.length > 5 ? ', …' : ''}: embed these covers again with index build, or leave the albums out.`,
    );
  if (other.length === 0) return [];
  const what = `${path} has ${String(other.length)} vectors that are not of length 1 (one has ${example.toPrecision(3)})`;
  if (!(await index.normalise()))
    throw new AppError(
      'index_unreadable',
      `${what}, and its type can't be corrected: normalise the vectors (faiss.normalize_L2) and build it again.`,
    );
  return [`${what}: they have been scaled to it, so that scores are cosines.`];
}

/** Minimum recall@10 of an inverted file. */
const enough = 0.99;
const depth = 10;

/** Number of queries that recall is measured with: few in a large index, since each also visits all cells. */
const queriesFor = (size: number): number => Math.max(8, Math.min(64, Math.floor(1.6e6 / size)));

/**
 * FAISS visits one cell by default, and misses most vectors in neighbouring ones. Unless another number was set, the
 * number of cells is doubled until the recall is sufficient.
 */
async function chooseProbes(index: VectorIndex): Promise<string[]> {
  if (index.probes !== 1) return [];
  const count = Math.min(index.size, queriesFor(index.size));
  const queries = sampleQueries(count, (share) => index.vectorOf(Math.floor(share * index.size)));
  const everything = index.cells;
  const nearest = async (probes: number) => {
    index.probes = probes;
    const found: Int32Array[] = [];
    for (const query of queries) found.push((await index.search(query, depth)).rows);
    return found;
  };
  const exact = (await nearest(everything)).map((rows) => new Set(rows));
  for (let probes = 1; ; probes = Math.min(everything, probes * 2)) {
    const recall = recallOf(await nearest(probes), exact);
    if (recall < enough && probes !== everything) continue;
    if (probes === 1) return [];
    return [
      `The index was saved to probe 1 of its ${String(everything)} cells: ${String(probes)} are probed instead, which finds ${(100 * recall).toFixed(1)} % of the ten nearest.`,
    ];
  }
}
