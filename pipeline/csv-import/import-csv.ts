import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { joinRows } from '../indexing/metadata-file.ts';
import { AppError } from '../../lib/errors.ts';
import { replaceFile } from '../../lib/filesystem/files.ts';
import { metadataName } from '../../lib/assets/assets.ts';
import { pandasRow, readCsvCatalog } from './csv-catalog.ts';
import { downloadCovers, type DownloadEvent, type DownloadOptions } from './download-covers.ts';

export interface ImportOptions extends Omit<DownloadOptions, 'albums' | 'besideDir' | 'imagesDir'> {
  csvPath: string;
  /** Output folder for `valid_metadata_final.json` and `images/`. */
  outDir: string;
}

export type ImportEvent =
  | { type: 'read'; albums: number; withoutCover: number[]; notes: string[] }
  | DownloadEvent
  | { type: 'imported'; albums: number; failed: number; metadataPath: string };

/** Records the CSV for which the ids in the folder were assigned. */
const planName = '.import.json';

/**
 * Creates metadata and covers from a CSV. Ids are assigned in the order of the rows, before any cover is fetched; an
 * album whose cover can't be fetched is left out, and its id stays unused. Another run fetches what is missing.
 *
 * @throws AppError `catalog_unreadable`, or `assets_inconsistent` if the folder was started with another CSV, or
 *   `assets_missing` if none of the covers can be fetched
 */
export async function* importCsv(options: ImportOptions): AsyncGenerator<ImportEvent> {
  const { csvPath, outDir } = options;
  const bytes = await readFile(csvPath);
  const { albums, withoutCover, notes } = readCsvCatalog(csvPath, bytes);
  yield { type: 'read', albums: albums.length, withoutCover, notes };
  await mkdir(outDir, { recursive: true });
  await claim(outDir, csvPath, bytes);
  const there = yield* downloadCovers({
    ...options,
    albums,
    besideDir: dirname(csvPath),
    imagesDir: join(outDir, 'images'),
  });
  const rows = albums.filter(({ localId }) => there.has(localId)).map(pandasRow);
  const metadataPath = join(outDir, metadataName);
  if (rows.length === 0)
    throw new AppError(
      'assets_missing',
      `No covers could be fetched (0 of ${String(albums.length)}), so no list is written to ${metadataPath}.`,
    );
  await replaceFile(metadataPath, joinRows(rows));
  yield {
    type: 'imported',
    albums: rows.length,
    failed: albums.length - rows.length,
    metadataPath,
  };
}

/** Binds the folder to one CSV: covers are named by ids, which another CSV would assign to other albums. */
async function claim(outDir: string, csvPath: string, bytes: Uint8Array): Promise<void> {
  const path = join(outDir, planName);
  const wanted = JSON.stringify({ csv: createHash('sha256').update(bytes).digest('hex') });
  const found = await readFile(path, 'utf8').catch(() => null);
  if (found === null) await replaceFile(path, wanted);
  else if (found !== wanted)
    throw new AppError(
      'assets_inconsistent',
      `${outDir} was created from a different list than ${csvPath}, whose ids may differ: use a new folder.`,
    );
}
