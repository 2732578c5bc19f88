import { parsePandasJson } from '../lib/catalog/pandas-json.ts';
import { readRows } from '../pipeline/indexing/metadata-file.ts';

/** Rows per group. */
const groupSize = 1000;

/** The albums of a list several times, with ids and names of their own, as JSON texts. */
export async function* copiedAlbums(path: string, copies: number): AsyncGenerator<string[]> {
  const rows: Record<string, unknown>[] = [];
  for await (const group of readRows(path))
    for (const row of group) rows.push(parsePandasJson(row) as Record<string, unknown>);
  for (let copy = 0; copy < copies; copy += 1)
    for (let from = 0; from < rows.length; from += groupSize)
      yield rows.slice(from, from + groupSize).map((row, i) => {
        const id = copy * rows.length + from + i;
        const { artist, album_name: title } = row;
        return JSON.stringify({
          ...row,
          ...{ local_id: id, filename: `album_${String(id)}.jpg` },
          artist: typeof artist === 'string' ? `${artist} ${String(copy)}` : artist,
          album_name: `${String(title)} ${String(copy)}`,
        });
      });
}
