import type { AlbumChunk, AlbumColumns } from './album-columns.ts';
import { genresIn } from './album.ts';

/** All criteria are optional; an album must satisfy each one given. */
export interface AlbumFilter {
  /** An album matches if any of its genres is any of these; case is ignored. */
  readonly genres?: readonly string[];
  readonly yearMin?: number;
  readonly yearMax?: number;
  readonly scoreMin?: number;
  readonly bestNewMusic?: boolean;
}

export const isEmptyFilter = (filter: AlbumFilter): boolean =>
  Object.values(filter).every((value) => value === undefined);

/** Clears the marks of the albums of a chunk that fail a criterion. */
type Criterion = (chunk: AlbumChunk, marks: Uint8Array) => void;

/** An album without a year or score fails a filter on it. One tight loop a criterion: a million albums take 1 ms. */
function criteriaOf(filter: AlbumFilter, genreNames: readonly string[]): Criterion[] {
  const criteria: Criterion[] = [];
  const { genres: wanted, scoreMin, bestNewMusic } = filter;
  if (wanted) {
    const names = new Set(wanted.map((genre) => genre.toLowerCase()));
    const passes = Uint8Array.from(genreNames, (name) =>
      Number(genresIn(name).some((genre) => names.has(genre.toLowerCase()))),
    );
    criteria.push(({ genres }, marks) => {
      for (let at = 0; at < genres.length; at += 1)
        if (passes[genres[at] ?? 0] === 0) marks[at] = 0;
    });
  }
  if (filter.yearMin !== undefined || filter.yearMax !== undefined) {
    const { yearMin = 1, yearMax = Infinity } = filter;
    const least = Math.max(1, yearMin); // 0: unknown
    criteria.push(({ years }, marks) => {
      for (let at = 0; at < years.length; at += 1) {
        const year = years[at] ?? 0;
        if (year < least || year > yearMax) marks[at] = 0;
      }
    });
  }
  if (scoreMin !== undefined)
    criteria.push(({ scores }, marks) => {
      for (let at = 0; at < scores.length; at += 1)
        if (!((scores[at] ?? NaN) >= scoreMin)) marks[at] = 0;
    });
  if (bestNewMusic !== undefined) {
    const failing = bestNewMusic ? 0 : 1;
    criteria.push(({ bestNewMusic: bits }, marks) => {
      for (let at = 0; at < marks.length; at += 1)
        if ((((bits[at >> 3] ?? 0) >> (at & 7)) & 1) === failing) marks[at] = 0;
    });
  }
  return criteria;
}

/** A 1 for each row whose album satisfies the filter, a 0 for each other. */
export function markMatching(
  filter: AlbumFilter,
  { chunks, genreNames, size }: AlbumColumns,
): Uint8Array {
  const criteria = criteriaOf(filter, genreNames);
  const marks = new Uint8Array(size).fill(1);
  let start = 0;
  for (const chunk of chunks) {
    const end = start + chunk.ids.length;
    for (const clear of criteria) clear(chunk, marks.subarray(start, end));
    start = end;
  }
  return marks;
}

/** The rows whose albums satisfy the filter, ascending. */
export function rowsMatching(filter: AlbumFilter, columns: AlbumColumns): Uint32Array {
  const marks = markMatching(filter, columns);
  const rows = new Uint32Array(columns.size);
  let count = 0;
  for (let row = 0; row < marks.length; row += 1) {
    rows[count] = row;
    count += marks[row] ?? 0;
  }
  return rows.subarray(0, count);
}
