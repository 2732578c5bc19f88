import type { AlbumFilter } from '../catalog/filter.ts';

/**
 * A filter as SQL, with the meaning of `RowFilter`: an album without a year or score fails a filter on it.
 *
 * @param genreNames every genre as stored, since a filter ignores case and the database does not
 * @returns `undefined` if all albums pass, `false` (as SQL) if none can
 */
export function filterSql(filter: AlbumFilter, genreNames: readonly string[]): string | undefined {
  const { genres, yearMin, yearMax, scoreMin, bestNewMusic } = filter;
  const conditions: string[] = [];
  if (genres) {
    const wanted = new Set(genres.map((genre) => genre.toLowerCase()));
    const names = genreNames.filter((name) => wanted.has(name.toLowerCase()));
    if (names.length === 0) return 'false';
    conditions.push(`array_has_any(genres, [${names.map(quoted).join(', ')}])`);
  }
  if (yearMin !== undefined) conditions.push(`release_year >= ${String(yearMin)}`);
  if (yearMax !== undefined) conditions.push(`release_year <= ${String(yearMax)}`);
  if (scoreMin !== undefined) conditions.push(`score >= ${String(scoreMin)}`);
  if (bestNewMusic !== undefined) conditions.push(`best_new_music = ${String(bestNewMusic)}`);
  return conditions.length === 0 ? undefined : conditions.join(' AND ');
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Albums by public id, as SQL. */
export const idsSql = (ids: readonly number[]): string => `local_id IN (${ids.join(', ')})`;
