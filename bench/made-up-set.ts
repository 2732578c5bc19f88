import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFlatIndex } from '../pipeline/indexing/flat-file.ts';

export const dimension = 512;

/** Writes an index and metadata of synthetic albums into a folder. @returns the file names */
export async function makeUpSet(folder: string, albums: number): Promise<string[]> {
  const [index, metadata] = ['album_covers.index', 'valid_metadata_final.json'];
  await writeFile(
    join(folder, metadata),
    JSON.stringify(
      Array.from({ length: albums }, (_, i) => ({
        ...{
          local_id: i,
          artist: `Artist ${String(i)}`,
          album_name: `Album ${String(i)}`,
          genre: 'Rock',
        },
        ...{ release_year: 1990 + (i % 30), score: (i % 100) / 10, best_new_music: i % 2 },
      })),
    ),
  );
  await writeFlatIndex(join(folder, index), { dimension, size: albums }, vectors(albums));
  return [index, metadata];
}

// eslint-disable-next-line @typescript-eslint/require-await -- read like the vectors of a file
async function* vectors(albums: number): AsyncGenerator<Float32Array> {
  for (let row = 0; row < albums; row += 1) {
    const vector = Float32Array.from({ length: dimension }, (_, i) =>
      Math.sin(row * 7.13 + i * 1.7),
    );
    const length = Math.hypot(...vector);
    yield vector.map((value) => value / length);
  }
}
