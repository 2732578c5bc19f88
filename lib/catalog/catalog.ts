import { bitAt } from '../bitmap.ts';
import type { Album, DataIssue } from './album.ts';
import { chunkSize, type AlbumColumns } from './album-columns.ts';
import { readCompactFile } from './compact-file.ts';
import { isEmptyFilter, RowFilter, type AlbumFilter } from './filter.ts';
import { genreNotes } from './genre-notes.ts';
import { readAlbums, type AlbumList } from './read-albums.ts';
import { unreadableList } from './read-metadata.ts';
import { DuplicateId, RowTable } from './row-table.ts';
import { catalogStatistics, type CatalogStatistics } from './statistics.ts';

/**
 * The albums, in the order of the index: **row i of the index is album i here**. An album's public id
 * (`local_id`) is not its row, since ids have gaps.
 */
export class Catalog {
  /** The fields of the albums, by row. */
  readonly columns: AlbumColumns;
  readonly #rows: RowTable;
  readonly #statistics: CatalogStatistics;
  readonly #filter: RowFilter;
  /** Genre names by lower case; created on first use. */
  #genres: ReadonlyMap<string, string> | undefined;
  /** Number of rows with each kind of data issue; a row may have several. */
  readonly dataIssues: ReadonlyMap<DataIssue, number>;
  /** Number of rows with any data issue. */
  readonly dirtyRows: number;
  /** Problems of the list as a whole, one sentence each, e.g. a column in which no album has a value. */
  readonly issues: readonly string[];

  private constructor(list: AlbumList, rows: RowTable, statistics: CatalogStatistics) {
    this.columns = list.columns;
    this.dataIssues = list.dataIssues;
    this.dirtyRows = list.dirtyRows;
    this.issues = list.issues;
    this.#rows = rows;
    this.#statistics = statistics;
    this.#filter = new RowFilter(list.columns);
  }

  /**
   * Reads `valid_metadata_final.json` as written by pandas, including literal `NaN`, and other lists
   * (`openMetadata`) with common column names.
   *
   * @throws AppError `catalog_unreadable` if the file is missing, not JSON or not a list of albums, or if two albums
   *   have the same id; names the file and what was expected
   */
  static async open(path: string): Promise<Catalog> {
    return Catalog.of(await readAlbums(path), path);
  }

  /** Reads the compact form of a list (`readCompactFile`). @throws AppError `catalog_unreadable` */
  static async openCompact(path: string): Promise<Catalog> {
    return Catalog.of(await readCompactFile(path), path);
  }

  /** @param path for messages @throws AppError `catalog_unreadable` if two albums have the same id */
  private static async of(list: AlbumList, path: string): Promise<Catalog> {
    try {
      const rows = await RowTable.build(list.columns);
      return new Catalog(list, rows, await catalogStatistics(list.columns));
    } catch (error) {
      if (!(error instanceof DuplicateId)) throw error;
      const { id, row } = error;
      throw unreadableList(
        path,
        `local_id ${String(id)} occurs twice, the second time at element ${String(row)}`,
      );
    }
  }

  get size(): number {
    return this.columns.size;
  }

  /** @throws RangeError if the index has a row that the catalog lacks, which loading rules out */
  atRow(row: number): Album {
    return this.columns.album(row);
  }

  /** All albums, by row; each is made when it is asked for. */
  *albums(): Generator<Album> {
    for (let row = 0; row < this.size; row += 1) yield this.atRow(row);
  }

  /** The public ids, by row. */
  ids(): Float64Array {
    const all = new Float64Array(this.size);
    for (const [i, { ids }] of this.columns.chunks.entries()) all.set(ids, i * chunkSize);
    return all;
  }

  /** The album of a public id, or `undefined`. */
  byId(id: number): Album | undefined {
    const row = this.rowOf(id);
    return row === undefined ? undefined : this.atRow(row);
  }

  /** The row of a public id, or `undefined`. */
  rowOf(id: number): number | undefined {
    return this.#rows.rowOf(id);
  }

  /** The rows whose albums satisfy the filter ({@link RowFilter.bitsOf}); `undefined` if there is nothing to filter by. */
  bitsMatching(filter: AlbumFilter): Uint8Array | undefined {
    return isEmptyFilter(filter) ? undefined : this.#filter.bitsOf(filter);
  }

  /** Whether the album of a row satisfies the filter. */
  rowMatcher(filter: AlbumFilter): (row: number) => boolean {
    const bits = this.bitsMatching(filter);
    return (row) => !bits || bitAt(bits, row);
  }

  /** Hints about a filter, one sentence each: for a genre that no album has, the most similar one. At most five. */
  notesOn({ genres = [] }: AlbumFilter): string[] {
    const known = (this.#genres ??= new Map(
      this.#statistics.genres.map(({ genre }) => [genre.toLowerCase(), genre]),
    ));
    return genreNotes(genres, known);
  }

  statistics(): CatalogStatistics {
    return this.#statistics;
  }
}
