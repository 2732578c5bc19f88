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

export const isEmptyFilter = (filter: AlbumFilter): boolean =>
  Object.values(filter).every((value) => value === undefined);

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
  const yearMin = filter.yearMin ?? -Infinity;
  const yearMax = filter.yearMax ?? Infinity;
  const byYear = filter.yearMin !== undefined || filter.yearMax !== undefined;
  return (album) => {
    if (wanted && !isWanted(album)) return false;
    if (byYear) {
      const year = album.releaseYear;
      if (year === null || year < yearMin || year > yearMax) return false;
    }
    if (filter.scoreMin !== undefined && (album.score === null || album.score < filter.scoreMin))
      return false;
    return filter.bestNewMusic === undefined || album.bestNewMusic === filter.bestNewMusic;
  };
}
