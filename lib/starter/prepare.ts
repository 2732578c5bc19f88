import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { coverEdge } from './textures.ts';
import { coverSvg, starterAlbums } from './starter-albums.ts';

export interface DrawOptions {
  /** Where the covers go, as `album_{local_id}.jpg`; made where it does not exist. */
  imagesDir: string;
  /** Where the list of albums goes. */
  metadataPath: string;
  /** Draws an SVG document as a square JPEG with an edge of so many pixels. */
  render: (svg: string, edge: number) => Promise<Buffer>;
}

export interface DrawEvent {
  type: 'drawn';
  done: number;
  total: number;
}

/** Covers drawn together: a few more than libuv has threads, so that none is idle for long. */
const batchSize = 12;

/**
 * Draws the starter set's covers (640 x 640 pixels) and writes the list of its albums, in the shape of the
 * user's metadata file. The same on every machine, since everything follows from one seed.
 *
 * @throws the file system's error, e.g. ENOSPC
 */
export async function* drawStarterCatalog(options: DrawOptions): AsyncGenerator<DrawEvent> {
  const { imagesDir, metadataPath, render } = options;
  await mkdir(imagesDir, { recursive: true });
  const albums = starterAlbums();
  for (let from = 0; from < albums.length; from += batchSize) {
    const batch = albums.slice(from, from + batchSize);
    await Promise.all(
      batch.map(async (album) =>
        writeFile(join(imagesDir, album.row.filename), await render(coverSvg(album), coverEdge)),
      ),
    );
    yield { type: 'drawn', done: from + batch.length, total: albums.length };
  }
  const rows = albums.map(({ row }) => row);
  await writeFile(metadataPath, `${JSON.stringify(rows, null, 2)}\n`);
}
