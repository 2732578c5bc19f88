import { open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AsyncRecordBatchFileReader, Data } from 'apache-arrow';
import * as z from 'zod';
import { bitAt } from '../bitmap.ts';
import { dataIssues } from './album.ts';
import {
  AlbumColumns,
  textColumns,
  type AlbumChunk,
  type TextColumn,
  type Texts,
} from './album-columns.ts';
import type { AlbumList } from './read-albums.ts';
import { unreadable, unreadableList } from './read-metadata.ts';

/**
 * The compact form of the list of albums: a file of Apache Arrow (IPC, uncompressed) whose columns are in memory as they
 * are in the file. A million albums are open in a second, where the list as JSON takes fifteen. pandas reads it with
 * `read_feather`. Its columns, in their order:
 */
export const compactColumns = {
  id: 'local_id',
  filename: 'filename',
  artist: 'artist',
  albumName: 'album_name',
  genre: 'genre',
  label: 'label',
  releaseYear: 'release_year',
  score: 'score',
  bestNewMusic: 'best_new_music',
  reviewer: 'reviewer_name',
  coverUrl: 'cover_url',
} as const;
type CompactColumn = keyof typeof compactColumns;

/** What the file says of the list, as JSON in its metadata under `shazam_visual`. */
export const compactAbout = z.object({
  format: z.literal(1),
  dataIssues: z.array(z.tuple([z.enum(dataIssues), z.number()])),
  dirtyRows: z.number(),
  issues: z.array(z.string()),
});
export const aboutKey = 'shazam_visual';

/**
 * Reads the compact form, one batch at a time.
 *
 * @throws AppError `catalog_unreadable`
 */
export async function readCompactFile(path: string): Promise<AlbumList> {
  const { RecordBatchReader } = await import('./arrow.ts'); // loaded only if there is such a file
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    // The types know no open file.
    const opened = RecordBatchReader.from(file) as unknown as Promise<AsyncRecordBatchFileReader>;
    const reader = await opened;
    await reader.open({ autoDestroy: false });
    const about = compactAbout.parse(JSON.parse(reader.schema.metadata.get(aboutKey) ?? 'null'));
    const { names } = reader.schema;
    const chunks: AlbumChunk[] = [];
    let genreNames = [''];
    for await (const { data } of reader) {
      const part = (column: CompactColumn): Data => {
        const found = data.children[names.indexOf(compactColumns[column])];
        if (!found) throw new Error(`the column ${compactColumns[column]} is missing`);
        return found;
      };
      genreNames = ['', ...((part('genre').dictionary?.toArray() ?? []) as string[])];
      chunks.push(chunkOf(part, data.length));
      await nextTurn();
    }
    const columns = new AlbumColumns(chunks, genreNames);
    return { ...about, dataIssues: new Map(about.dataIssues), columns };
  } catch (error) {
    throw unreadableList(path, 'it is damaged, or not the compact form of a list', error);
  } finally {
    await file.close();
  }
}

/** @param size number of albums */
function chunkOf(part: (column: CompactColumn) => Data, size: number): AlbumChunk {
  const written = { ids: part('id').values as BigInt64Array, genre: part('genre') };
  const codes = written.genre.values as Int32Array;
  const ids = new Float64Array(size);
  const genres = new Uint32Array(size);
  for (let at = 0; at < size; at += 1) {
    ids[at] = Number(written.ids[at]);
    if (bitAt(written.genre.nullBitmap, at)) genres[at] = (codes[at] ?? 0) + 1;
  }
  return {
    ids,
    genres,
    years: part('releaseYear').values as Int16Array,
    scores: part('score').values as Float64Array,
    bestNewMusic: part('bestNewMusic').values as Uint8Array,
    texts: Object.fromEntries(
      textColumns.map((column) => {
        const data = part(column);
        const texts: Texts = {
          bytes: data.values as Uint8Array,
          offsets: data.valueOffsets as Int32Array,
        };
        return [column, texts];
      }),
    ) as Record<TextColumn, Texts>,
  };
}
