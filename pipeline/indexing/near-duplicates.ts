import type { VectorIndex } from '../../lib/vectors/vector-index.ts';

/** Neighbours compared per cover; larger groups are joined through their members. */
const neighbours = 8;

/** Rows per progress event. */
const stride = 500;

/**
 * Groups rows whose vectors are nearly identical.
 *
 * @param similarity cosine from which two vectors count as nearly identical
 * @returns groups of two or more rows, in ascending order
 */
export async function* nearDuplicates(
  index: VectorIndex,
  similarity: number,
): AsyncGenerator<{ done: number; total: number }, number[][]> {
  const parent = Array.from({ length: index.size }, (_, row) => row);
  const rootOf = (row: number): number => {
    let root = row;
    while (parent[root] !== root) root = parent[root] ?? root;
    for (let at = row; at !== root;) {
      const next = parent[at] ?? root;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  for (let row = 0; row < index.size; row += 1) {
    const vector = index.vectorOf(row);
    if (vector.every(Number.isFinite)) {
      const { rows, distances } = await index.search(vector, neighbours);
      for (const [i, other] of rows.entries())
        if (other !== row && index.similarity(distances[i] ?? NaN) >= similarity) {
          const [a, b] = [rootOf(row), rootOf(other)];
          parent[Math.max(a, b)] = Math.min(a, b);
        }
    }
    if ((row + 1) % stride === 0 || row + 1 === index.size)
      yield { done: row + 1, total: index.size };
  }
  const groups = new Map<number, number[]>();
  for (let row = 0; row < index.size; row += 1) {
    const root = rootOf(row);
    groups.set(root, [...(groups.get(root) ?? []), row]);
  }
  return [...groups.values()].filter((rows) => rows.length > 1);
}
