import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RowSplitter } from '../../lib/catalog/metadata-rows.ts';
import { openMetadata } from '../../lib/catalog/read-metadata.ts';

/** Elements of a list of albums as JSON texts, in groups. */
export type RowGroups = AsyncIterable<readonly string[]>;

/** The elements of a list as written, read as a stream. @param keep whether to keep the element at a position */
export async function* readRows(
  path: string,
  keep: (position: number) => boolean = () => true,
): AsyncGenerator<readonly string[]> {
  let position = 0;
  for await (const rows of (await openMetadata(path)).rows())
    yield rows.filter(() => keep(position++));
}

/** The elements of a list as written. @throws SyntaxError if it is not a list, ends too early, or continues after its end */
export function splitRows(text: string): string[] {
  const splitter = new RowSplitter();
  const rows = splitter.push(Buffer.from(text));
  splitter.end();
  return rows;
}

/** The list in the layout of Python's `json.dump(indent=2)`. */
export const joinRows = (rows: readonly string[]): string =>
  rows.length === 0 ? '[]' : `[\n  ${rows.join(',\n  ')}\n]`;

/** One list after another. */
export async function* concatRows(
  ...lists: readonly RowGroups[]
): AsyncGenerator<readonly string[]> {
  for (const list of lists) yield* list;
}

/** Checksum of the elements of a list, in hex. */
export async function hashRows(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const rows of readRows(path)) for (const row of rows) hash.update(row).update('\n');
  return hash.digest('hex');
}

/** Writes a list in the layout of Python's `json.dump(indent=2)`, and syncs it to disk. */
export async function writeRows(path: string, list: RowGroups): Promise<void> {
  const text = async function* () {
    let separator = '[\n  ';
    for await (const rows of list) {
      if (rows.length === 0) continue;
      yield separator + rows.join(',\n  ');
      separator = ',\n  ';
    }
    yield separator.startsWith('[') ? '[]' : '\n]';
  };
  await pipeline(Readable.from(text()), createWriteStream(path, { flush: true }));
}
