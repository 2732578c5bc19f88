import { setImmediate as nextTurn } from 'node:timers/promises';
import { genresIn } from './album.ts';
import { bitAt } from '../bitmap.ts';
import type { AlbumColumns } from './album-columns.ts';

export interface CatalogStatistics {
  totalAlbums: number;
  /** The ten most common, most albums first; an album with two genres counts in both. */
  topGenres: { genre: string; albums: number }[];
  /** Every genre: most albums first, then by name. */
  genres: { genre: string; albums: number }[];
  firstYear: number | null;
  lastYear: number | null;
  /** Mean Pitchfork score over the albums that have one, to two decimals; `null` if none has. */
  meanScore: number | null;
  bestNewMusic: number;
}

/** Works in slices between which requests are answered. */
export async function catalogStatistics(columns: AlbumColumns): Promise<CatalogStatistics> {
  const albumsOf = new Uint32Array(columns.genreNames.length);
  let [first, last] = [Infinity, -Infinity];
  let [sum, scored, bestNewMusic] = [0, 0, 0];
  for (const chunk of columns.chunks) {
    for (const code of chunk.genres) albumsOf[code] = (albumsOf[code] ?? 0) + 1;
    for (const year of chunk.years) {
      if (year === 0) continue;
      if (year < first) first = year;
      if (year > last) last = year;
    }
    for (const score of chunk.scores) {
      if (Number.isNaN(score)) continue;
      sum += score;
      scored += 1;
    }
    for (let at = 0; at < chunk.ids.length; at += 1)
      if (bitAt(chunk.bestNewMusic, at)) bestNewMusic += 1;
    await nextTurn();
  }
  return summarise({
    albums: columns.size,
    // the first genre stands for none
    albumsOf: columns.genreNames.map((name, code) => [name, albumsOf[code] ?? 0] as const).slice(1),
    ...{ first, last, sum, scored, bestNewMusic },
  });
}

/** What is counted of the albums, wherever they are stored. */
interface Counts {
  albums: number;
  /** Numbers of albums by genre as written, e.g. `Electronic / Rock`. */
  albumsOf: Iterable<readonly [string, number]>;
  /** Years, the last before the first if no album has one. */
  first: number;
  last: number;
  /** Sum and number of the scores. */
  sum: number;
  scored: number;
  bestNewMusic: number;
}

export function summarise(counts: Counts): CatalogStatistics {
  const { first, last, sum, scored } = counts;
  const genres = genreCounts(counts.albumsOf);
  return {
    totalAlbums: counts.albums,
    topGenres: genres.slice(0, 10),
    genres,
    firstYear: first > last ? null : first,
    lastYear: first > last ? null : last,
    meanScore: scored === 0 ? null : Math.round((100 * sum) / scored) / 100,
    bestNewMusic: counts.bestNewMusic,
  };
}

/** Every genre with its number of albums: most albums first, then by name. */
function genreCounts(albumsOf: Counts['albumsOf']): CatalogStatistics['genres'] {
  const counts = new Map<string, number>();
  for (const [written, albums] of albumsOf)
    for (const genre of genresIn(written)) counts.set(genre, (counts.get(genre) ?? 0) + albums);
  return [...counts]
    .map(([genre, albums]) => ({ genre, albums }))
    .sort((a, b) => b.albums - a.albums || a.genre.localeCompare(b.genre));
}
