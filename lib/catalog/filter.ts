import { genresOf, type Album } from './album.ts';

/** All criteria are optional; an album must satisfy each one given. */
export interface AlbumFilter {
  /** An album matches if any of its genres is any of these; case is ignored. */
  readonly genres?: readonly string[];
  readonly yearMin?: number;
  readonly yearMax?: number;
  readonly scoreMin?: number;
  readonly bestNewMusic?: boolean;
}

/** Compiles a filter. An album without a year or score fails a filter on it. */
export function albumMatcher(filter: AlbumFilter): (album: Album) => boolean {
  const wanted = filter.genres && new Set(filter.genres.map((genre) => genre.toLowerCase()));
  /** Results by genre string: there are few different ones, and they recur. */
  const known = new Map<string | null, boolean>();
  const isWanted = (album: Album): boolean => {
    let found = known.get(album.genre);
    if (found === undefined) {
      found = genresOf(album).some((genre) => wanted?.has(genre.toLowerCase()));
      known.set(album.genre, found);
    }
    return found;
  };
  const { yearMin = -Infinity, yearMax = Infinity, scoreMin, bestNewMusic } = filter;
  const anyYear = filter.yearMin === undefined && filter.yearMax === undefined;
  const inYears = (year: number | null) => year !== null && year >= yearMin && year <= yearMax;
  return (album) =>
    (!wanted || isWanted(album)) &&
    (anyYear || inYears(album.releaseYear)) &&
    (scoreMin === undefined || (album.score !== null && album.score >= scoreMin)) &&
    (bestNewMusic === undefined || album.bestNewMusic === bestNewMusic);
}
