import { genresOf, type Album } from './album.ts';

export function catalogStatistics(albums: readonly Album[]) {
  const scores = albums.flatMap((album) => album.score ?? []);
  const sum = scores.reduce((total, score) => total + score, 0);
  const { first, last } = yearRange(albums);
  return {
    totalAlbums: albums.length,
    /** The ten most common, most albums first; an album with two genres counts in both. */
    topGenres: genreCounts(albums).slice(0, 10),
    firstYear: first,
    lastYear: last,
    /** Mean Pitchfork score over the albums that have one, to two decimals; `null` if none has. */
    meanScore: scores.length === 0 ? null : Math.round((100 * sum) / scores.length) / 100,
    bestNewMusic: albums.filter((album) => album.bestNewMusic).length,
  };
}

/** Every genre with its number of albums: most albums first, then by name. */
export function genreCounts(albums: readonly Album[]): { genre: string; albums: number }[] {
  const counts = new Map<string, number>();
  for (const album of albums)
    for (const genre of genresOf(album)) counts.set(genre, (counts.get(genre) ?? 0) + 1);
  return [...counts]
    .map(([genre, count]) => ({ genre, albums: count }))
    .sort((a, b) => b.albums - a.albums || a.genre.localeCompare(b.genre));
}

/** First and last release year; `null` where no album has one. */
export function yearRange(albums: readonly Album[]): { first: number | null; last: number | null } {
  let [first, last] = [Infinity, -Infinity];
  for (const { releaseYear } of albums) {
    first = Math.min(first, releaseYear ?? first);
    last = Math.max(last, releaseYear ?? last);
  }
  return first > last ? { first: null, last: null } : { first, last };
}
