import { recallOf } from '../../lib/vectors/sample-queries.ts';
import type { VectorIndex } from '../../lib/vectors/vector-index.ts';

/** The parameter of a search that trades time for recall, saved in the index file; none if searches visit every vector. */
export type SearchParameters = { probes: number; candidates?: number } | { efSearch: number };

/** Recall for which the effort of a search is chosen. */
export const targetRecall = 0.99;
/** How far below the best possible recall a type may stay that cannot reach {@link targetRecall}. */
const nearlyBest = 0.005;
export const depth = 10;

/** What FAISS calls `efSearch`: from its own default to where a graph gains nothing more. */
const [leastBreadth, mostBreadth] = [16, 1024];

/** The current parameter of an index. */
export const parametersOf = (index: VectorIndex): SearchParameters | null =>
  index.cells > 0
    ? { probes: index.probes, ...(index.candidates > 0 && { candidates: index.candidates }) }
    : index.breadth > 0
      ? { efSearch: index.breadth }
      : null;

/**
 * Measures an index.
 *
 * @param nearest the true {@link depth} nearest rows, by query
 * @returns recall, 0 to 1, and the median duration of a search in milliseconds
 */
export async function measureSearch(
  index: VectorIndex,
  queries: readonly Float32Array[],
  nearest: readonly ReadonlySet<number>[],
): Promise<{ recall: number; milliseconds: number }> {
  const found: Int32Array[] = [];
  const taken: number[] = [];
  for (const query of queries) {
    const start = performance.now();
    found.push((await index.search(query, depth)).rows);
    taken.push(performance.now() - start);
  }
  taken.sort((a, b) => a - b);
  return {
    recall: recallOf(found, nearest),
    milliseconds: taken[Math.floor(taken.length / 2)] ?? 0,
  };
}

/**
 * Sets the number of cells that a search visits, or the breadth of a search in a graph, to the least that reaches
 * {@link targetRecall}, to within a sixteenth; or nearly the best recall if that is lower.
 */
export async function chooseEffort(
  index: VectorIndex,
  queries: readonly Float32Array[],
  nearest: readonly ReadonlySet<number>[],
): Promise<void> {
  const parameters = parametersOf(index);
  if (!parameters) return;
  const inCells = 'probes' in parameters;
  const [least, most] = inCells ? [1, index.cells] : [leastBreadth, mostBreadth];
  const recallAt = async (effort: number): Promise<number> => {
    if (inCells) index.probes = effort;
    else index.breadth = effort;
    return (await measureSearch(index, queries, nearest)).recall;
  };
  const best = await recallAt(most);
  const target = best >= targetRecall ? targetRecall : best - nearlyBest;
  let enough = least;
  while (enough < most && (await recallAt(enough)) < target) enough = Math.min(most, 2 * enough);
  let tooLittle = enough === least ? least - 1 : Math.floor(enough / 2);
  while (enough - tooLittle > Math.max(1, enough / 16)) {
    const between = Math.floor((tooLittle + enough) / 2);
    if ((await recallAt(between)) < target) tooLittle = between;
    else enough = between;
  }
  if (inCells) index.probes = enough;
  else index.breadth = enough;
}
