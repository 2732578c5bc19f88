import { summarise, type CatalogStatistics } from '../../lib/catalog/statistics.ts';
import type { LanceTable } from '../../lib/lance/lance.ts';

/** Counts the albums of a table, a batch at a time. */
export async function tableStatistics(table: LanceTable): Promise<CatalogStatistics> {
  const albumsOf = new Map<string, number>();
  let [total, bestNewMusic, scored, sum] = [0, 0, 0, 0];
  let [first, last] = [Infinity, -Infinity];
  const columns = ['genre', 'release_year', 'score', 'best_new_music'];
  for await (const batch of table.query().select(columns)) {
    const [genres, years, scores, marks] = columns.map((name) => batch.getChild(name));
    for (let row = 0; row < batch.numRows; row += 1) {
      const genre = genres?.get(row) as string | null;
      if (genre !== null) albumsOf.set(genre, (albumsOf.get(genre) ?? 0) + 1);
      const year = years?.get(row) as number | null;
      if (year !== null) [first, last] = [Math.min(first, year), Math.max(last, year)];
      const score = scores?.get(row) as number | null;
      if (score !== null) [scored, sum] = [scored + 1, sum + score];
      if (marks?.get(row) === true) bestNewMusic += 1;
    }
    total += batch.numRows;
  }
  return summarise({ albums: total, albumsOf, first, last, sum, scored, bestNewMusic });
}
