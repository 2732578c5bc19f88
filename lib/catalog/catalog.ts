import { closestMatch } from 'leven';
import { readAlbum, type Album, type DataIssue } from './album.ts';
import { inTurns } from '../concurrency/in-turns.ts';
import { albumMatcher, type AlbumFilter } from './filter.ts';
import { columns, findColumns, scoreScale } from './columns.ts';
import { readMetadata, unreadableList } from './read-metadata.ts';
import { catalogStatistics, genreCounts, yearRange } from './statistics.ts';

/**
 * The albums, in the order of the index: **row i of the index is album i here**. An album's public id
 * (`local_id`) is not its row, since ids have gaps.
 */
export class Catalog {
  readonly #albums: readonly Album[];
  readonly #rowById: ReadonlyMap<number, number>;
  /** Genre names by lower case; created on first use. */
  #genres: ReadonlyMap<string, string> | undefined;
  /** Number of rows with each kind of data issue; a row may have several. */
  readonly dataIssues: ReadonlyMap<DataIssue, number>;
  /** Number of rows with any data issue. */
  readonly dirtyRows: number;

  /** Problems of the list as a whole, one sentence each, e.g. a column in which no album has a value. */
  readonly issues: readonly string[];

  private constructor(
    albums: readonly Album[],
    rowById: ReadonlyMap<number, number>,
    found: Pick<Catalog, 'dataIssues' | 'dirtyRows' | 'issues'>,
  ) {
    this.#albums = albums;
    this.#rowById = rowById;
    this.dataIssues = found.dataIssues;
    this.dirtyRows = found.dirtyRows;
    this.issues = found.issues;
  }

  /**
   * Reads `valid_metadata_final.json` as written by pandas, including literal `NaN`, and other lists
   * ({@link readMetadata}) with common column names.
   *
   * @throws AppError `catalog_unreadable` if the file is missing, not JSON or not a list of albums, or if two albums
   *   have the same id; names the file and what was expected
   */
  static async open(path: string): Promise<Catalog> {
    const refuse = (why: string) => unreadableList(path, why);
    const { rows, notes } = await readMetadata(path);
    if (rows.length === 0) throw refuse('the list is empty');
    const found = findColumns(namesIn(rows));
    if (found.id === undefined && rows.some(isObject))
      throw refuse(`none of its columns is the albums' id (${columns.id.join(', ')})`);
    const scores = rows.map((row) => (row as Record<string, unknown> | null)?.[found.score ?? '']);
    const scale = scoreScale(scores);
    const albums: Album[] = [];
    const rowById = new Map<number, number>();
    const dataIssues = new Map<DataIssue, number>();
    let dirtyRows = 0;
    await inTurns(rows, (row, index) => {
      const read = readAlbum(row, found, scale);
      if (!read)
        throw refuse(
          `expected an album with an integer ${found.id ?? 'local_id'} at element ${String(index)} but found ${excerpt(row)}`,
        );
      const { album } = read;
      if (rowById.has(album.id))
        throw refuse(
          `local_id ${String(album.id)} occurs twice, the second time at element ${String(index)}`,
        );
      albums.push(album);
      rowById.set(album.id, index);
      if (read.dataIssues.length > 0) dirtyRows += 1;
      for (const issue of read.dataIssues) dataIssues.set(issue, (dataIssues.get(issue) ?? 0) + 1);
    });
    const issues = [
      ...notes,
      scale === 100 && 'Most scores are above 10: all are read as scores out of 100.',
      ...absences(albums),
      found.bestNewMusic === undefined &&
        'No album is marked as Best New Music or not: expected a column best_new_music.',
    ].filter((issue) => issue !== false);
    return new Catalog(albums, rowById, { dataIssues, dirtyRows, issues });
  }

  get size(): number {
    return this.#albums.length;
  }

  /** @throws RangeError if the index has a row that the catalog lacks, which loading rules out */
  atRow(row: number): Album {
    const album = this.#albums[row];
    if (!album) throw new RangeError(`row ${String(row)} of ${String(this.size)}`);
    return album;
  }

  /** All albums, by row. */
  albums(): readonly Album[] {
    return this.#albums;
  }

  /** The public ids, by row. */
  ids(): number[] {
    return this.#albums.map(({ id }) => id);
  }

  /** The album of a public id, or `undefined`. */
  byId(id: number): Album | undefined {
    return this.#albums[this.#rowById.get(id) ?? -1];
  }

  /** The row of a public id, or `undefined`. */
  rowOf(id: number): number | undefined {
    return this.#rowById.get(id);
  }

  /**
   * Rows of the matching albums, ascending; `undefined` if there is nothing to filter by.
   *
   * @param except a row to exclude
   */
  rowsMatching(filter: AlbumFilter, except?: number): Uint32Array | undefined {
    if (except === undefined && Object.values(filter).every((value) => value === undefined))
      return undefined;
    const matches = albumMatcher(filter);
    const rows: number[] = [];
    for (const [row, album] of this.#albums.entries())
      if (row !== except && matches(album)) rows.push(row);
    return Uint32Array.from(rows);
  }

  /** Hints about a filter, one sentence each: for a genre that no album has, the most similar one. At most five. */
  notesOn({ genres = [] }: AlbumFilter): string[] {
    const known = (this.#genres ??= new Map(
      this.genres().map(({ genre }) => [genre.toLowerCase(), genre]),
    ));
    return genres
      .filter((genre) => !known.has(genre.toLowerCase()))
      .slice(0, mostNotes)
      .map((genre) => {
        const nearest = known.get(closestMatch(genre.toLowerCase(), [...known.keys()]) ?? '');
        const instead = nearest === undefined ? '' : `; the nearest is "${nearest}"`;
        return `No album has the genre "${genre}"${instead}.`;
      });
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

/** Maximum genres of a filter that are compared with all known ones: each takes time, and a list may have thousands. */
const mostNotes = 5;

const isObject = (row: unknown): row is object => typeof row === 'object' && row !== null;

/** Column names, from the first 1,000 rows. */
const namesIn = (rows: readonly unknown[]): string[] => [
  ...new Set(rows.slice(0, 1000).flatMap((row) => (isObject(row) ? Object.keys(row) : []))),
];

/** Reports fields that no album has, which filters and titles would otherwise present as fact. */
function absences(albums: readonly Album[]): string[] {
  const wanted = [
    ['artist', 'an artist'],
    ['albumName', 'a title'],
    ['genre', 'a genre'],
    ['releaseYear', 'a release year'],
    ['score', 'a score'],
  ] as const;
  return wanted
    .filter(([field]) => albums.every((album) => album[field] === null))
    .map(
      ([field, what]) =>
        `No album has ${what}: expected a column ${columns[field].slice(0, 3).join(', ')} or similar.`,
    );
}

/** The start of a value as JSON, for a message. */
const excerpt = (value: unknown): string => JSON.stringify(value).replace(/^(.{60}).+/s, '$1…');
