import { setImmediate as nextTurn } from 'node:timers/promises';
import { readAlbum, type DataIssue } from './album.ts';
import { AlbumColumnsBuilder, chunkSize, type AlbumColumns } from './album-columns.ts';
import { columns, findColumns, outOfTen, ScoreScale, type Column } from './columns.ts';
import { openMetadata, unreadableList } from './read-metadata.ts';

/** What was read of a list. */
export interface AlbumList {
  columns: AlbumColumns;
  /** Number of rows with each kind of data issue; a row may have several. */
  dataIssues: ReadonlyMap<DataIssue, number>;
  /** Number of rows with any data issue. */
  dirtyRows: number;
  /** Problems of the list as a whole, one sentence each, e.g. a column in which no album has a value. */
  issues: readonly string[];
}

/**
 * Reads a list of albums as a stream, and does other work in between.
 *
 * @throws AppError `catalog_unreadable`
 */
export async function readAlbums(path: string): Promise<AlbumList> {
  const metadata = await openMetadata(path);
  const reader = new AlbumReader(path);
  for await (const rows of metadata.values()) for (const row of rows) reader.add(row);
  return reader.finish(metadata.notes);
}

/** Number of rows whose keys tell the names of the columns. */
const rowsForNames = 1000;

class AlbumReader {
  readonly #path: string;
  readonly #albums = new AlbumColumnsBuilder();
  /** The first rows, until the names of the columns are known. */
  readonly #first: unknown[] = [];
  #names: Partial<Record<Column, string>> | undefined;
  #size = 0;
  readonly #issues = new Map<DataIssue, number>();
  readonly #dirty = new Set<number>();
  readonly #scale = new ScoreScale();
  /** Rows whose scores are written with their maximum. */
  readonly #withMaximum = new Set<number>();

  constructor(path: string) {
    this.#path = path;
  }

  add(row: unknown): void {
    if (this.#names) this.#read(row, this.#names);
    else if (this.#first.push(row) === rowsForNames) this.#readFirst();
  }

  async finish(notes: readonly string[]): Promise<AlbumList> {
    const names = this.#names ?? this.#readFirst();
    if (this.#size === 0) throw unreadableList(this.#path, 'the list is empty');
    const scale = this.#scale.maximum;
    const list = this.#albums.build();
    await this.#scaleScores(list, scale);
    const issues = [
      ...notes,
      scale === 100 && 'Most scores are above 10: all are read as scores out of 100.',
      ...absences(list),
      names.bestNewMusic === undefined &&
        'No album is marked as Best New Music or not: expected a column best_new_music.',
    ].filter((issue) => issue !== false);
    return { columns: list, dataIssues: this.#issues, dirtyRows: this.#dirty.size, issues };
  }

  #readFirst(): Partial<Record<Column, string>> {
    const first = this.#first.splice(0);
    const names = findColumns([
      ...new Set(first.flatMap((row) => (isObject(row) ? Object.keys(row) : []))),
    ]);
    if (names.id === undefined && first.some(isObject))
      throw unreadableList(
        this.#path,
        `none of its columns is the albums' id (${columns.id.join(', ')})`,
      );
    for (const row of first) this.#read(row, names);
    return (this.#names = names);
  }

  #read(row: unknown, names: Partial<Record<Column, string>>): void {
    const read = readAlbum(row, names);
    if (!read)
      throw unreadableList(
        this.#path,
        `expected an album with an integer ${names.id ?? 'local_id'} at element ${String(this.#size)} but found ${excerpt(row)}`,
      );
    const { album, score, issues } = read;
    let value: number | null = null;
    this.#scale.add(score);
    if (score) {
      if (score.of === undefined) ({ value } = score);
      else {
        value = outOfTen(score.value, score.of) ?? null;
        if (value === null) this.#count('implausible_value');
        this.#withMaximum.add(this.#size);
      }
    }
    this.#albums.add({ ...album, score: value });
    for (const issue of issues) this.#count(issue);
    this.#size += 1;
  }

  /** Counts an issue of the current row, or of another one. */
  #count(issue: DataIssue, row = this.#size): void {
    this.#issues.set(issue, (this.#issues.get(issue) ?? 0) + 1);
    this.#dirty.add(row);
  }

  /** Converts the scores without their maximum to 0 to 10. @param scale their maximum */
  async #scaleScores({ chunks }: AlbumColumns, scale: number): Promise<void> {
    for (const [i, { scores }] of chunks.entries()) {
      for (const [at, value] of scores.entries()) {
        const row = i * chunkSize + at;
        if (Number.isNaN(value) || this.#withMaximum.has(row)) continue;
        const score = outOfTen(value, scale);
        scores[at] = score ?? NaN;
        if (score === undefined) this.#count('implausible_value', row);
      }
      await nextTurn();
    }
  }
}

const isObject = (row: unknown): row is object => typeof row === 'object' && row !== null;

/** Reports fields that no album has, which filters and titles would otherwise present as fact. */
function absences({ chunks, genreNames }: AlbumColumns): string[] {
  const wanted = [
    ['artist', 'an artist', chunks.some(({ texts }) => texts.artist.bytes.length > 0)],
    ['albumName', 'a title', chunks.some(({ texts }) => texts.albumName.bytes.length > 0)],
    ['genre', 'a genre', genreNames.length > 1],
    ['releaseYear', 'a release year', chunks.some(({ years }) => years.some((year) => year > 0))],
    ['score', 'a score', chunks.some(({ scores }) => scores.some((score) => score >= 0))],
  ] as const;
  return wanted
    .filter(([, , isThere]) => !isThere)
    .map(
      ([field, what]) =>
        `No album has ${what}: expected a column ${columns[field].slice(0, 3).join(', ')} or similar.`,
    );
}

/** The start of a value as JSON, for a message. */
const excerpt = (value: unknown): string => JSON.stringify(value).replace(/^(.{60}).+/s, '$1…');
