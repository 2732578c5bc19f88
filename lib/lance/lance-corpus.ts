import { LRUCache } from 'lru-cache';
import type { Album } from '../catalog/album.ts';
import type { AlbumFilter } from '../catalog/filter.ts';
import { genreNotes } from '../catalog/genre-notes.ts';
import { longestQuery, mostWords, NameIndex } from '../catalog/name-index.ts';
import { nameWords } from '../catalog/name-words.ts';
import { mostErrors } from '../catalog/terms.ts';
import { AlbumColumnsBuilder } from '../catalog/album-columns.ts';
import type { CatalogStatistics } from '../catalog/statistics.ts';
import { lazy, type Lazy } from '../concurrency/lazy.ts';
import { AppError } from '../errors.ts';
import type {
  Corpus,
  CorpusState,
  FilterOptions,
  Identified,
  NameSearch,
  NearestOptions,
  Neighbour,
} from '../search/corpus.ts';
import { filterSql, idsSql } from './album-filter.ts';
import {
  albumColumns,
  albumsIn,
  embeddingsIn,
  readAbout,
  servedTag,
  tableName,
  type TableAbout,
} from './album-table.ts';
import { loadLance, withLance, type ArrowTable, type LanceTable } from './lance.ts';
import type { LanceLocation } from './lance-location.ts';
import { beginning } from './name-terms.ts';

/**
 * Parts of the index that a search visits, of `albumsInPart` albums each, and how many times `k` candidates are
 * compared exactly: docs/lance.md has the measurements. A filter that few albums pass needs more parts, up to `mostProbes`.
 */
const [probes, mostProbes] = [16, 256];
/** Candidates that are compared exactly: ten times as many as asked for, but at most this many more than that. */
const [refinement, mostRefined] = [10, 500];

/** Longest wait for an answer of the table, in milliseconds. */
const timeoutMs = 20_000;

/** Albums that match a text, among which the best are found. */
const nameCandidates = 400;

interface Opened {
  table: LanceTable;
  about: TableAbout;
  /** Genres as written, by lower case. */
  genres: ReadonlyMap<string, string>;
  /** Number of albums that pass a filter, by its SQL. */
  counts: LRUCache<string, number>;
}

/**
 * One version of a LanceDB table of albums, which is opened on first use and never changes. Covers are not recognised in
 * photos: the table has no features.
 */
export class LanceCorpus implements Corpus {
  /** Cache entries refer to it, so that they do not keep the corpus in memory. */
  readonly version = Symbol('corpus');
  readonly #location: LanceLocation;
  readonly #opened: Lazy<Opened>;
  /** The table's version, once it is open. */
  tableVersion: number | undefined;

  constructor(location: LanceLocation) {
    this.#location = location;
    this.#opened = lazy(() => withLance(location.place, () => this.#open()));
  }

  async #open(): Promise<Opened> {
    const latest = await openTable(this.#location);
    this.tableVersion = await servedVersion(latest, this.#location);
    await latest.checkout(this.tableVersion);
    const about = await readAbout(latest);
    if (!about) throw notOurs(this.#location);
    const { genres } = about.statistics;
    return {
      table: latest,
      about,
      genres: new Map(genres.map(({ genre }) => [genre.toLowerCase(), genre])),
      counts: new LRUCache({ max: 1000 }),
    };
  }

  /** Opens the table, unless it is open. @throws AppError as `lanceError` */
  async load(): Promise<void> {
    await this.#opened();
  }

  /** They are in the table. */
  loadNames(): Promise<void> {
    return this.load();
  }

  get state(): CorpusState {
    const { made } = this.#opened;
    const isOpen = made !== undefined;
    return {
      ...{ embeddings: isOpen, albums: isOpen, identification: false },
      size: made?.about.statistics.totalAlbums ?? null,
      issues: isOpen ? [] : null,
    };
  }

  /** A version keeps its files while it is served and for a day: there is nothing to hold. */
  use<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  async size(): Promise<number> {
    return (await this.statistics()).totalAlbums;
  }

  /** Dimension of the embeddings. */
  async dimension(): Promise<number> {
    return (await this.#opened()).about.dimension;
  }

  async nearest(
    embedding: Float32Array,
    { k, filter, signal }: NearestOptions,
  ): Promise<Neighbour[]> {
    return this.#read(signal, async ({ table, about, genres, counts }) => {
      const where = filterSql(filter, [...genres.values()]);
      const search = table.query().nearestTo(embedding).distanceType('dot');
      search.select([...albumColumns, '_distance']).limit(k);
      search.refineFactor(Math.max(1, Math.floor(Math.min(refinement * k, k + mostRefined) / k)));
      let visited = probes;
      if (where !== undefined) {
        const passing = counts.get(where) ?? (await table.countRows(where));
        counts.set(where, passing);
        if (passing === 0) return [];
        search.where(where);
        visited = Math.min(
          mostProbes,
          Math.ceil((probes * about.statistics.totalAlbums) / passing),
        );
      }
      // Without a maximum: if these parts have fewer than k albums, others are visited.
      search.maximumNprobes(0).minimumNprobes(visited);
      const rows = await search.toArrow({ timeoutMs });
      const distances = rows.getChild('_distance');
      return albumsIn(rows).map((album, row) => ({
        album,
        similarity: 1 - (distances?.get(row) as number),
      }));
    });
  }

  async similarities(
    embedding: Float32Array,
    ids: readonly number[],
    { filter, signal }: FilterOptions,
  ): Promise<ReadonlyMap<number, number>> {
    if (ids.length === 0) return new Map();
    return this.#read(signal, async ({ table, genres }) => {
      const where = [idsSql(ids), filterSql(filter, [...genres.values()])];
      const rows = await table
        .query()
        .where(where.filter((condition) => condition !== undefined).join(' AND '))
        .select(['local_id', 'embedding'])
        .toArrow({ timeoutMs });
      const found = embeddingsIn(rows).map((other) =>
        other.reduce((sum, value, i) => sum + value * (embedding[i] ?? 0), 0),
      );
      return new Map(
        Array.from(rows.getChild('local_id') ?? [], (id, row) => [Number(id), found[row] ?? NaN]),
      );
    });
  }

  async album(id: number): Promise<Album | undefined> {
    const rows = await this.#ofAlbum(id, albumColumns);
    return albumsIn(rows)[0];
  }

  async embeddingOf(id: number): Promise<Float32Array | undefined> {
    const rows = await this.#ofAlbum(id, ['embedding']);
    return embeddingsIn(rows)[0];
  }

  #ofAlbum(id: number, columns: readonly string[]): Promise<ArrowTable> {
    return this.#read(undefined, ({ table }) =>
      table
        .query()
        .where(idsSql([id]))
        .select([...columns])
        .limit(1)
        .toArrow({ timeoutMs }),
    );
  }

  /**
   * The table's text index finds candidates, the best by BM25; `NameIndex` ranks them. As with files, typing errors are
   * forgiven if nothing is found as written, and two of three words are enough if no album has all.
   */
  async byName(
    words: string,
    { k, offset = 0, filter, everyWord = false, signal }: NameSearch,
  ): Promise<Album[]> {
    const spelled = nameWords(words.slice(0, longestQuery)).map((one) => one.flat());
    const wanted = spelled.slice(0, mostWords);
    if (wanted.length === 0) return [];
    for (const how of everyWord ? manners.slice(0, 2) : manners) {
      const candidates = await this.#named(wanted, how, { filter, signal });
      const columns = new AlbumColumnsBuilder();
      for (const album of candidates) columns.add(album);
      const index = await NameIndex.build(columns.build());
      const rows = await index.search(words, { limit: offset + k, everyWord, signal });
      if (rows.length > 0) return rows.slice(offset).flatMap((row) => candidates[row] ?? []);
    }
    return [];
  }

  /** @param wanted words, each in its spellings; the last may be only the beginning of one */
  #named(
    wanted: readonly (readonly string[])[],
    { fuzzy, every }: (typeof manners)[number],
    { filter, signal }: FilterOptions,
  ): Promise<Album[]> {
    return this.#read(signal, async ({ table, genres }) => {
      const { lancedb } = await loadLance();
      const { BooleanQuery, MatchQuery, Occur, Operator } = lancedb;
      const clauses = wanted.map(
        (spellings, i): [typeof Occur.Must, InstanceType<typeof MatchQuery>] => {
          const isLast = i === wanted.length - 1;
          const terms = isLast ? [...spellings, ...spellings.map(beginning)] : spellings;
          return [
            every ? Occur.Must : Occur.Should,
            new MatchQuery(terms.join(' '), 'terms', {
              operator: Operator.Or,
              ...(fuzzy && { fuzziness: mostErrors(spellings[0]?.length ?? 0), prefixLength: 1 }),
            }),
          ] as [typeof Occur.Must, InstanceType<typeof MatchQuery>];
        },
      );
      const search = table.query().fullTextSearch(new BooleanQuery(clauses));
      const where = filterSql(filter, [...genres.values()]);
      if (where !== undefined) search.where(where);
      search.select([...albumColumns, '_score']).limit(nameCandidates);
      return albumsIn(await search.toArrow({ timeoutMs }));
    });
  }

  async statistics(): Promise<CatalogStatistics> {
    return (await this.#opened()).about.statistics;
  }

  async notesOn({ genres = [] }: AlbumFilter): Promise<string[]> {
    return genreNotes(genres, (await this.#opened()).genres);
  }

  canIdentify(): Promise<boolean> {
    return Promise.resolve(false);
  }

  identify(): Promise<Identified[]> {
    return Promise.reject(new AppError('internal_error', 'This corpus has no features.'));
  }

  isIdentifiable(): Promise<null> {
    return Promise.resolve(null);
  }

  async #read<T>(
    signal: AbortSignal | undefined,
    work: (opened: Opened) => Promise<T>,
  ): Promise<T> {
    const opened = await this.#opened();
    signal?.throwIfAborted();
    return withLance(this.#location.place, () => work(opened));
  }
}

/** How names are looked for, until something is found. */
const manners = [
  { fuzzy: false, every: true },
  { fuzzy: true, every: true },
  { fuzzy: true, every: false },
] as const;

/** The newest version of a table, served or not. @throws as LanceDB */
export async function openTable({ database, storageOptions }: LanceLocation): Promise<LanceTable> {
  const { lancedb } = await loadLance();
  const connection = await lancedb.connect(database, { storageOptions });
  return connection.openTable(tableName);
}

/** The version that readers use. @throws AppError `assets_missing` if none is complete */
export async function servedVersion(table: LanceTable, { place }: LanceLocation): Promise<number> {
  const tags = await table.tags();
  const version = (await tags.list())[servedTag];
  if (version) return tags.getVersion(servedTag);
  throw new AppError(
    'assets_missing',
    `The table in ${place} is not complete: its import was interrupted, continue it with --resume.`,
  );
}

/** A table, or a version of it, that this service did not write. */
export const notOurs = ({ place }: LanceLocation): AppError =>
  new AppError(
    'index_unreadable',
    `${place} is not a table that index import or index build wrote.`,
  );
