import type * as Arrow from 'apache-arrow';
import * as z from 'zod';
import { manifestModel } from '../assets/manifest.ts';
import { genresIn, type Album } from '../catalog/album.ts';
import { nameTerms } from './name-terms.ts';
import { loadLance, type ArrowTable, type LanceTable } from './lance.ts';

/** Name of the table within its database. */
export const tableName = 'albums';
/** The version that readers use. A writer moves this tag when all its changes are complete. */
export const servedTag = 'served';

/** Columns that make up an album. */
export const albumColumns = [
  'local_id',
  'filename',
  'artist',
  'album_name',
  'genre',
  'label',
  'release_year',
  'score',
  'best_new_music',
  'reviewer_name',
  'cover_url',
] as const;

/** Describes one version of the table. Kept in it, so that no reader counts albums. */
const about = z.object({
  format: z.literal(1),
  dimension: z.number().int().positive(),
  /** What made the embeddings, from the set's manifest; `null` if it had none. */
  model: manifestModel.nullable(),
  /** Albums when the index of the embeddings was trained; `null`: too few for one, so that all are compared. */
  trainedOn: z.number().int().nullable(),
  statistics: z.object({
    totalAlbums: z.number(),
    topGenres: z.array(z.object({ genre: z.string(), albums: z.number() })),
    genres: z.array(z.object({ genre: z.string(), albums: z.number() })),
    firstYear: z.number().nullable(),
    lastYear: z.number().nullable(),
    meanScore: z.number().nullable(),
    bestNewMusic: z.number(),
  }),
});

export type TableAbout = z.output<typeof about>;

/** Key of the description, in the metadata of the column of embeddings. */
const aboutKey = 'shazam_visual';
/** Key of what the rows are written from, in the metadata of the schema. */
const sourceKey = 'shazam_visual_source';

/** @returns `undefined` if the version is incomplete, or not a table of this service */
export async function readAbout(table: LanceTable): Promise<TableAbout | undefined> {
  const { fields } = await table.schema();
  const text = fields.find(({ name }) => name === 'embedding')?.metadata.get(aboutKey);
  return text === undefined ? undefined : about.parse(JSON.parse(text));
}

export async function writeAbout(table: LanceTable, value: TableAbout): Promise<void> {
  await table.updateFieldMetadata([
    { path: 'embedding', metadata: { [aboutKey]: JSON.stringify(value) } },
  ]);
}

/** What the rows of the newest version are written from. */
export const readSource = async (table: LanceTable): Promise<string | undefined> =>
  (await table.schema()).metadata.get(sourceKey);

/** @param source what the rows are written from, by which an interrupted import is recognised */
export async function tableSchema(dimension: number, source: string): Promise<Arrow.Schema> {
  const { arrow } = await loadLance();
  const field = (name: string, type: Arrow.DataType, nullable = true) =>
    new arrow.Field(name, type, nullable);
  const text = () => new arrow.Utf8();
  return new arrow.Schema(
    [
      field('local_id', new arrow.Int64(), false),
      field('filename', text()),
      field('artist', text()),
      field('album_name', text()),
      field('genre', text()),
      field('label', text()),
      field('release_year', new arrow.Int16()),
      field('score', new arrow.Float64()),
      field('best_new_music', new arrow.Bool(), false),
      field('reviewer_name', text()),
      field('cover_url', text()),
      field('genres', new arrow.List(field('item', text()))),
      field('terms', text()),
      field(
        'embedding',
        new arrow.FixedSizeList(dimension, field('item', new arrow.Float32())),
        false,
      ),
    ],
    new Map([[sourceKey, source]]),
  );
}

/** @param vectors one embedding for each album, of the schema's dimension: n × dimension floats */
export async function toRows(
  schema: Arrow.Schema,
  albums: readonly Album[],
  vectors: Float32Array,
): Promise<ArrowTable> {
  const { arrow } = await loadLance();
  const length = albums.length;
  const columns: Record<string, (album: Album) => unknown> = {
    local_id: ({ id }) => BigInt(id),
    filename: ({ filename }) => filename,
    artist: ({ artist }) => artist,
    album_name: ({ albumName }) => albumName,
    genre: ({ genre }) => genre,
    label: ({ label }) => label,
    release_year: ({ releaseYear }) => releaseYear,
    score: ({ score }) => score,
    best_new_music: ({ bestNewMusic }) => bestNewMusic,
    reviewer_name: ({ reviewer }) => reviewer,
    cover_url: ({ coverUrl }) => coverUrl,
    genres: ({ genre }) => (genre === null ? null : genresIn(genre)),
    terms: nameTerms,
  };
  const children = schema.fields.map(({ name, type }) => {
    const valueOf = columns[name];
    if (valueOf) {
      const [data] = arrow.vectorFromArray(albums.map(valueOf), type).data;
      return data as Arrow.Data;
    }
    const child = arrow.makeData({ type: new arrow.Float32(), data: vectors });
    return arrow.makeData({ type: type as Arrow.FixedSizeList, length, nullCount: 0, child });
  });
  const rows = arrow.makeData({
    ...{ type: new arrow.Struct(schema.fields), length, nullCount: 0, children },
  });
  return new arrow.Table(schema, new arrow.RecordBatch(schema, rows));
}

/** The albums of a result with all of {@link albumColumns}. */
export function albumsIn(rows: ArrowTable): Album[] {
  const column = (name: (typeof albumColumns)[number]) => {
    const values = rows.getChild(name);
    return (row: number): unknown => values?.get(row);
  };
  const texts = (name: (typeof albumColumns)[number]) =>
    column(name) as (row: number) => string | null;
  const numbers = (name: (typeof albumColumns)[number]) =>
    column(name) as (row: number) => number | null;
  const [id, marked] = [column('local_id'), column('best_new_music')];
  const [artist, albumName, genre] = [texts('artist'), texts('album_name'), texts('genre')];
  const [label, reviewer] = [texts('label'), texts('reviewer_name')];
  const [coverUrl, filename] = [texts('cover_url'), texts('filename')];
  const [releaseYear, score] = [numbers('release_year'), numbers('score')];
  return Array.from({ length: rows.numRows }, (_, row) => ({
    id: Number(id(row)),
    artist: artist(row),
    albumName: albumName(row),
    genre: genre(row),
    releaseYear: releaseYear(row),
    score: score(row),
    bestNewMusic: marked(row) === true,
    label: label(row),
    reviewer: reviewer(row),
    coverUrl: coverUrl(row),
    filename: filename(row),
  }));
}

/** The embeddings of a result, by row. */
export const embeddingsIn = (rows: ArrowTable): Float32Array[] =>
  Array.from(rows.getChild('embedding') ?? [], (value) =>
    (value as { toArray(): Float32Array }).toArray(),
  );
