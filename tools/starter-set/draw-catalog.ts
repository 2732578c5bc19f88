import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { joinRows } from '../../pipeline/indexing/metadata-file.ts';
import { metadataName } from '../../lib/assets/assets.ts';
import { coverSvg, type StarterAlbum } from './starter-albums.ts';

/** Edge of a drawn cover in pixels. */
export const coverPixels = 480;

/** Covers drawn concurrently: a few more than libuv has threads, to keep them busy. */
const batchSize = 12;

/** @returns a JPEG of 480 x 480 pixels: small, and not progressive, which would take twice as long to decode */
export const coverJpeg = (album: StarterAlbum): Promise<Buffer> =>
  sharp(Buffer.from(coverSvg(album)))
    .resize(coverPixels, coverPixels, { fit: 'fill' })
    .flatten()
    .jpeg({ quality: 70, trellisQuantisation: true, overshootDeringing: true })
    .toBuffer();

/**
 * Draws the covers of albums into `images/`, and writes their metadata in the format of the user's metadata file. The
 * metadata is the same on every machine, and so are the covers for a given version of sharp.
 *
 * @param folder created if missing; other files in it are kept
 * @throws the file system's error, e.g. ENOSPC
 */
export async function drawCatalog(folder: string, albums: readonly StarterAlbum[]): Promise<void> {
  const imagesDir = join(folder, 'images');
  await mkdir(imagesDir, { recursive: true });
  for (let from = 0; from < albums.length; from += batchSize)
    await Promise.all(
      albums
        .slice(from, from + batchSize)
        .map(async (album) =>
          writeFile(join(imagesDir, album.row.filename), await coverJpeg(album)),
        ),
    );
  const rows = albums.map(({ row }) => JSON.stringify(row));
  await writeFile(join(folder, metadataName), joinRows(rows));
}
