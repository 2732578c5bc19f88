import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as z from 'zod';
import {
  Bool,
  Dictionary,
  Field,
  Float64,
  Int16,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  Utf8,
  vectorFromArray,
  type Data,
} from 'apache-arrow';
import { textColumns, type AlbumChunk, type Texts } from '../../lib/catalog/album-columns.ts';
import type { Catalog } from '../../lib/catalog/catalog.ts';
import { aboutKey, compactColumns, type compactAbout } from '../../lib/catalog/compact-file.ts';

/** Writes the compact form of a list of albums, and syncs it to disk. @throws the file system's error, e.g. ENOSPC */
export async function writeCompactFile(path: string, catalog: Catalog): Promise<void> {
  const { chunks, genreNames } = catalog.columns;
  const genre = new Dictionary(new Utf8(), new Int32(), 0);
  const genres = vectorFromArray(genreNames.slice(1), new Utf8());
  const types = {
    id: new Int64(),
    filename: new Utf8(),
    artist: new Utf8(),
    albumName: new Utf8(),
    genre,
    label: new Utf8(),
    releaseYear: new Int16(),
    score: new Float64(),
    bestNewMusic: new Bool(),
    reviewer: new Utf8(),
    coverUrl: new Utf8(),
  };
  const names = Object.keys(types) as (keyof typeof types)[];
  const about: z.input<typeof compactAbout> = {
    format: 1,
    dataIssues: [...catalog.dataIssues],
    dirtyRows: catalog.dirtyRows,
    issues: [...catalog.issues],
  };
  const schema = new Schema(
    names.map((name) => new Field(compactColumns[name], types[name], name !== 'id')),
    new Map([[aboutKey, JSON.stringify(about)]]),
  );
  const batches = function* () {
    for (const chunk of chunks) {
      const parts: Record<string, Data> = { ...dataOf(chunk) };
      const { length } = chunk.ids;
      parts['genre'] = makeData({
        type: genre,
        length,
        data: Int32Array.from(chunk.genres, (code) => Math.max(0, code - 1)),
        dictionary: genres,
        ...nulls(length, (at) => chunk.genres[at] === 0),
      });
      const children = names.flatMap((name) => parts[name] ?? []);
      yield new RecordBatch(
        schema,
        makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }),
      );
    }
  };
  const writer = new RecordBatchFileWriter();
  const written = pipeline(Readable.from(writer), createWriteStream(path, { flush: true }));
  writer.reset(undefined, schema);
  for (const batch of batches()) writer.write(batch);
  writer.finish();
  await written;
}

/** The columns of a chunk but for its genres. */
function dataOf({ ids, years, scores, bestNewMusic, texts }: AlbumChunk): Record<string, Data> {
  const { length } = ids;
  return {
    id: makeData({
      type: new Int64(),
      length,
      nullCount: 0,
      data: BigInt64Array.from(ids, BigInt),
    }),
    releaseYear: makeData({
      ...{ type: new Int16(), length, data: years },
      ...nulls(length, (at) => years[at] === 0),
    }),
    score: makeData({
      ...{ type: new Float64(), length, data: scores },
      ...nulls(length, (at) => Number.isNaN(scores[at])),
    }),
    bestNewMusic: makeData({ type: new Bool(), length, nullCount: 0, data: bestNewMusic }),
    ...Object.fromEntries(textColumns.map((column) => [column, textData(texts[column], length)])),
  };
}

const textData = ({ bytes, offsets }: Texts, length: number): Data =>
  makeData({
    ...{ type: new Utf8(), length, valueOffsets: offsets, data: bytes },
    ...nulls(length, (at) => offsets[at] === offsets[at + 1]),
  });

/** Arrow's bitmap of the values that are present. */
function nulls(length: number, isNull: (at: number) => boolean) {
  const nullBitmap = new Uint8Array(Math.ceil(length / 64) * 8);
  let nullCount = 0;
  for (let at = 0; at < length; at += 1)
    if (isNull(at)) nullCount += 1;
    else nullBitmap[at >> 3] = (nullBitmap[at >> 3] ?? 0) | (1 << (at & 7));
  return { nullBitmap, nullCount };
}
