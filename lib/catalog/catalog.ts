import { readFile } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { readAlbum, type Album, type Blemish } from './album.ts';
import { albumMatcher, isEmptyFilter, type AlbumFilter } from './filter.ts';
import { parsePandasJson } from './pandas-json.ts';
import { catalogStatistics, genreCounts, yearRange } from './statistics.ts';

/**
 * The albums, in the order of the index: **row i of the index is album i here**. An album's public id
 * (`local_id`) is not its row, since ids have gaps.
 */
export class Catalog {
  readonly #albums: readonly Album[];
  readonly #rowById: ReadonlyMap<number, number>;
  /** How many rows had each kind of blemish; a row may have several. */
  readonly blemishes: ReadonlyMap<Blemish, number>;
  /** How many rows had any. */
  readonly dirtyRows: number;

  private constructor(
    albums: readonly Album[],
    rowById: ReadonlyMap<number, number>,
    blemishes: ReadonlyMap<Blemish, number>,
    dirtyRows: number,
  ) {
    this.#albums = albums;
    this.#rowById = rowById;
    this.blemishes = blemishes;
    this.dirtyRows = dirtyRows;
  }

  /**
   * Reads `valid_metadata_final.json` as pandas wrote it, literal `NaN` included.
   *
   * @throws AppError `catalog_unreadable`: no such file, not JSON, not a list of albums, or two albums of
   *   one id; the sentence names the file and what was expected.
   */
  static async open(path: string): Promise<Catalog> {
    const refuse = (why: string, cause?: unknown) =>
      new AppError('catalog_unreadable', `${path} is not a readable list of albums: ${why}.`, {
        cause,
      });
    let rows: unknown;
    try {
      rows = parsePandasJson(await readFile(path, 'utf8'));
    } catch (error) {
      if (error instanceof SyntaxError) throw refuse('it is not valid JSON', error);
      const reason =
        error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      throw refuse(`it could not be read (${reason})`, error);
    }
    if (!Array.isArray(rows)) {
      const found =
        rows === null ? 'null' : typeof rows === 'object' ? 'an object' : `a ${typeof rows}`;
      throw refuse(`expected a JSON list of albums but found ${found}`);
    }
    if (rows.length === 0) throw refuse('the list is empty');
    return Catalog.#fromRows(rows, refuse);
  }

  static #fromRows(rows: readonly unknown[], refuse: (why: string) => AppError): Catalog {
    const albums: Album[] = [];
    const rowById = new Map<number, number>();
    const blemishes = new Map<Blemish, number>();
    let dirtyRows = 0;
    for (const [index, row] of rows.entries()) {
      const read = readAlbum(row);
      if (!read)
        throw refuse(
          `expected an album with an integer local_id at element ${String(index)} but found ${excerpt(row)}`,
        );
      const { album } = read;
      if (rowById.has(album.id))
        throw refuse(
          `local_id ${String(album.id)} stands twice, the second time at element ${String(index)}`,
        );
      albums.push(album);
      rowById.set(album.id, index);
      if (read.blemishes.length > 0) dirtyRows += 1;
      for (const blemish of read.blemishes)
        blemishes.set(blemish, (blemishes.get(blemish) ?? 0) + 1);
    }
    return new Catalog(albums, rowById, blemishes, dirtyRows);
  }

  get size(): number {
    return this.#albums.length;
  }

  /** @throws RangeError where the index has a row that the catalog lacks, which loading rules out. */
  atRow(row: number): Album {
    const album = this.#albums[row];
    if (!album) throw new RangeError(`row ${String(row)} of ${String(this.size)}`);
    return album;
  }

  /** The public ids, by row. */
  ids(): number[] {
    return this.#albums.map(({ id }) => id);
  }

  /** The album of a public id, or `undefined`. */
  byId(id: number): Album | undefined {
    const row = this.#rowById.get(id);
    return row === undefined ? undefined : this.#albums[row];
  }

  /** The row of a public id, or `undefined`. */
  rowOf(id: number): number | undefined {
    return this.#rowById.get(id);
  }

  /**
   * Rows of the albums that match, ascending; `undefined` where the filter asks for nothing.
   *
   * @param except a row that is left out
   */
  rowsMatching(filter: AlbumFilter, except?: number): Uint32Array | undefined {
    if (isEmptyFilter(filter) && except === undefined) return undefined;
    const matches = albumMatcher(filter);
    const rows: number[] = [];
    for (const [row, album] of this.#albums.entries())
      if (row !== except && matches(album)) rows.push(row);
    return Uint32Array.from(rows);
  }

  statistics() {
    return catalogStatistics(this.#albums);
  }

  genres() {
    return genreCounts(this.#albums);
  }

  years() {
    return yearRange(this.#albums);
  }
}

/** The start of a value as JSON, for a message. */
const excerpt = (value: unknown): string => {
  const json = JSON.stringify(value);
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
};
