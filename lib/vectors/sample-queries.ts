/**
 * Queries to measure recall with: sums of a vector and half of another one, since real queries are not in the index.
 *
 * @param vectorAt the vector at a share of the index, 0 to 1
 */
export function sampleQueries(
  count: number,
  vectorAt: (share: number) => Float32Array,
): Float32Array[] {
  return Array.from({ length: count }, (_, i) => {
    const [a, b] = [vectorAt(i / count), vectorAt((i + 0.5) / count)];
    return a.map((value, at) => value + 0.5 * (b[at] ?? 0));
  });
}

/** Share of the true nearest rows that searches found, 0 to 1. Both have a list of rows per query. */
export function recallOf(
  found: readonly Iterable<number>[],
  nearest: readonly ReadonlySet<number>[],
): number {
  const wanted = nearest.reduce((sum, rows) => sum + rows.size, 0);
  const hits = found.flatMap((rows, i) => [...rows].filter((row) => nearest[i]?.has(row))).length;
  return wanted === 0 ? 1 : hits / wanted;
}
