import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Album } from '../../lib/catalog/album.ts';
import type { AlbumFilter } from '../../lib/catalog/filter.ts';
import { writeFlatIndex } from '../../pipeline/indexing/flat-file.ts';

/** Why tests of LanceDB are skipped, or `false` if it is installed. */
export const lanceSkip: string | false = (() => {
  try {
    createRequire(import.meta.url).resolve('@lancedb/lancedb');
    return false;
  } catch {
    return 'LanceDB is not installed (npm install @lancedb/lancedb@0.31.0)';
  }
})();

const genres = ['Rock', 'Electronic / Rock', "Pop/R'B", 'Jazz', null];
const artists = ['Björk', 'The Beatles', 'AC/DC', 'Radiohead', 'Miles Davis', 'Sigur Rós'];
const titles = ['Homogenic', 'Abbey Road', 'Back in Black', 'Kid A', 'Kind of Blue'];

/** A made-up album. Every field occurs with and without a value. */
export const madeUpAlbum = (row: number): Album => ({
  id: 3 * row + 1,
  artist: row % 11 === 10 ? null : (artists[row % artists.length] ?? null),
  albumName: `${titles[row % titles.length] ?? ''} ${String(row)}`,
  genre: genres[row % genres.length] ?? null,
  releaseYear: row % 7 === 6 ? null : 1960 + (row % 50),
  score: row % 9 === 8 ? null : (row % 101) / 10,
  bestNewMusic: row % 13 === 0,
  label: row % 2 === 0 ? `Label ${String(row % 4)}` : null,
  reviewer: row % 3 === 0 ? 'R. Viewer' : null,
  coverUrl: row % 3 === 1 ? `https://covers.example/${String(row)}` : null,
  filename: `album_${String(3 * row + 1)}.jpg`,
});

/** Whether an album satisfies a filter, as the API documents it. */
export function passes(
  { genre, releaseYear, score, bestNewMusic }: Album,
  filter: AlbumFilter,
): boolean {
  const { genres, yearMin = -Infinity, yearMax = Infinity, scoreMin } = filter;
  const wanted = genres?.map((one) => one.toLowerCase());
  const anyYear = filter.yearMin === undefined && filter.yearMax === undefined;
  return (
    (wanted?.some((one) => genre?.toLowerCase().split(' / ').includes(one)) ?? true) &&
    (anyYear || (releaseYear !== null && releaseYear >= yearMin && releaseYear <= yearMax)) &&
    (scoreMin === undefined || (score !== null && score >= scoreMin)) &&
    (filter.bestNewMusic === undefined || bestNewMusic === filter.bestNewMusic)
  );
}

/** A repeatable embedding of length 1. */
export function madeUpVector(row: number, dimension: number): Float32Array {
  let seed = row + 1;
  const vector = Float32Array.from({ length: dimension }, () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  });
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** Likewise, but one of 1,000 groups of similar ones. */
export function groupedVector(row: number, dimension: number): Float32Array {
  const noise = madeUpVector(row, dimension);
  const centre = madeUpVector(1_000_000 + (row % 1000), dimension);
  const sum = centre.map((value, i) => value + 0.6 * (noise[i] ?? 0));
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

/** Writes index and metadata of made-up albums. @param rows which of them */
export async function writeMadeUpSet(
  dir: string,
  rows: readonly number[],
  dimension: number,
  vectorOf = madeUpVector,
): Promise<void> {
  const records = rows.map(madeUpAlbum).map((album) => ({
    local_id: album.id,
    artist: album.artist,
    album_name: album.albumName,
    genre: album.genre,
    release_year: album.releaseYear,
    score: album.score,
    best_new_music: album.bestNewMusic ? 1 : 0,
    label: album.label,
    reviewer_name: album.reviewer,
    cover_url: album.coverUrl,
    filename: album.filename,
  }));
  await writeFile(join(dir, 'valid_metadata_final.json'), JSON.stringify(records));
  await writeFlatIndex(
    join(dir, 'album_covers.index'),
    { dimension, size: rows.length },
    // eslint-disable-next-line @typescript-eslint/require-await -- read like the vectors of a file
    (async function* () {
      for (const row of rows) yield vectorOf(row, dimension);
    })(),
  );
}

/** Runs an operation to its end. @returns its events */
export async function eventsOf<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const event of events) all.push(event);
  return all;
}
