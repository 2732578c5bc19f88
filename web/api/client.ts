import { filterParameters, wordsOf, type Filters, type Subject } from '../address.ts';
import { apiKey } from './key.ts';
import { Problem, readProblem } from './problem.ts';
import type {
  Album,
  AlbumResult,
  GenreCount,
  Health,
  Identified,
  Suggestion,
  YearRange,
} from './types.ts';

/** How far the API allows paging into the results of a search, in albums. */
export const deepest = 200;

/** Albums per page: fills whole rows of 2, 3, 4, 6 or 8. */
const pageSize = 24;

/** Albums listed by name above those found by their covers. */
const mostNames = 8;

/** Request timeout in milliseconds. */
const patienceMs = 60_000;

/** Edge lengths in pixels of the API's thumbnails. */
const thumbnailSizes = [160, 320, 640] as const;

export interface SearchRequest {
  subject: Exclude<Subject, { kind: 'nothing' }>;
  filters: Filters;
  /** Only for a search by picture. */
  picture: Blob | null;
}

/** One page of the results of a search. */
export interface SearchPage {
  albums: AlbumResult[];
  /** Whether this is the last page. */
  last: boolean;
  /** Albums whose names match the text of a search by names and covers, on its first page. */
  names: AlbumResult[];
  /** The albums recognised in the picture, largest first; `null` if recognition was not attempted. */
  identified: Identified[] | null;
}

/** The API's response to a search. */
interface SearchAnswer {
  results: AlbumResult[];
  identified?: Identified[] | null;
}

/** Client of the public HTTP API, which may be on another host. Every method throws {@link Problem}. */
export class ApiClient {
  readonly #base: URL;
  /** `undefined`: the API's default, used if its operator allows fewer than `pageSize`. */
  #pageSize: number | undefined = pageSize;

  /** @param base the API's URL; a path in it must end with a slash */
  constructor(base: URL) {
    this.#base = base;
  }

  /**
   * @param offset number of results already loaded
   * @returns the next page; albums recognised in the picture come first. With the first page of a search by text come
   *   the albums whose names match.
   */
  async search(request: SearchRequest, offset: number, signal: AbortSignal): Promise<SearchPage> {
    const size = this.#pageSize;
    try {
      const [answer, names] = await Promise.all([
        this.#searchPage(request, { offset, size, signal }),
        offset === 0 ? this.#names(request, signal) : [],
      ]);
      const { results: albums, identified = null } = answer;
      const last = albums.length < (size ?? 1) || offset + albums.length >= deepest;
      return { albums, last, identified, names };
    } catch (error) {
      if (size === undefined || !isAboutPageSize(error)) throw error;
      this.#pageSize = undefined;
      return this.search(request, offset, signal);
    }
  }

  async #searchPage(
    { subject, filters, picture }: SearchRequest,
    page: { offset: number; size: number | undefined; signal: AbortSignal; everyWord?: boolean },
  ): Promise<SearchAnswer> {
    const parameters = filterParameters(filters);
    const byName = subject.kind === 'text' && subject.by === 'name';
    if (page.size !== undefined) parameters.set(byName ? 'limit' : 'k', String(page.size));
    if (page.offset > 0) parameters.set('offset', String(page.offset));
    if (page.everyWord) parameters.set('every_word', 'true');
    const { signal } = page;
    const query = subject.kind === 'text' ? subject.query : wordsOf(subject);
    if (query !== undefined) parameters.set('query', query);
    const path =
      subject.kind === 'text'
        ? byName
          ? 'api/albums'
          : 'api/search-by-text'
        : subject.kind === 'similar'
          ? `api/albums/${String(subject.albumId)}/similar`
          : 'api/search-by-image';
    const init: RequestInit =
      subject.kind === 'picture' ? { method: 'POST', body: formOf(picture), signal } : { signal };
    return this.#ask(`${path}?${parameters.toString()}`, init);
  }

  /** The albums whose names have every word of a text that is compared with names and covers. */
  async #names(request: SearchRequest, signal: AbortSignal): Promise<AlbumResult[]> {
    const { subject } = request;
    if (subject.kind !== 'text' || subject.by !== undefined) return [];
    const size = this.#pageSize === undefined ? undefined : mostNames;
    const byName: SearchRequest = { ...request, subject: { ...subject, by: 'name' } };
    try {
      const page = { offset: 0, size, signal, everyWord: true };
      return (await this.#searchPage(byName, page)).results.slice(0, mostNames);
    } catch (error) {
      if (error instanceof Problem) return []; // not essential: the covers are found without them
      throw error;
    }
  }

  /** Albums whose names match what is being typed, best first. */
  async suggest(query: string, signal: AbortSignal): Promise<Suggestion[]> {
    const parameters = new URLSearchParams({ query });
    const path = `api/suggest?${parameters.toString()}`;
    return (await this.#ask<{ suggestions: Suggestion[] }>(path, { signal })).suggestions;
  }

  album(id: number, signal?: AbortSignal): Promise<Album> {
    return this.#ask(`api/albums/${String(id)}`, signal ? { signal } : {});
  }

  health(): Promise<Health> {
    return this.#ask('health');
  }

  /** Number of searchable albums. */
  async totalAlbums(): Promise<number> {
    return (await this.#ask<{ total_albums: number }>('api/stats')).total_albums;
  }

  /** Sorted by number of albums, descending. */
  async genres(): Promise<GenreCount[]> {
    return (await this.#ask<{ genres: GenreCount[] }>('api/genres')).genres;
  }

  yearRange(): Promise<YearRange> {
    return this.#ask('api/year-range');
  }

  /** A few results of a text search, starting at an offset. */
  async someAlbums(query: string, count: number, offset: number): Promise<AlbumResult[]> {
    const parameters = new URLSearchParams({ query, k: String(count), offset: String(offset) });
    const path = `api/search-by-text?${parameters.toString()}`;
    return (await this.#ask<{ results: AlbumResult[] }>(path)).results;
  }

  /** @param size edge in pixels; the original cover by default */
  coverUrl(albumId: number, size?: (typeof thumbnailSizes)[number]): string {
    const query = size === undefined ? '' : `?size=${String(size)}`;
    return this.#url(`api/image/${String(albumId)}${query}`);
  }

  /** The thumbnails of a cover, for the `srcset` of an `<img>`. */
  coverSet(albumId: number): string {
    return thumbnailSizes
      .map((size) => `${this.coverUrl(albumId, size)} ${String(size)}w`)
      .join(', ');
  }

  /** The API's documentation page. */
  docsUrl(): string {
    return this.#url('docs');
  }

  #url(path: string): string {
    return new URL(path, this.#base).href;
  }

  async #ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const patience = AbortSignal.timeout(patienceMs);
    const signals = init.signal ? [init.signal, patience] : [patience];
    const key = apiKey.value;
    // Not `Authorization`: a proxy in front of the API may use that header.
    const headers: HeadersInit = key === null ? {} : { 'X-API-Key': key };
    try {
      const signal = AbortSignal.any(signals);
      const response = await fetch(this.#url(path), { ...init, headers, signal });
      if (!response.ok) throw await readProblem(response, key !== null);
      return (await response.json()) as T;
    } catch (error) {
      if (error instanceof Problem || init.signal?.aborted === true) throw error;
      if (patience.aborted) throw new Problem('timed_out');
      throw new Problem(navigator.onLine ? 'unreachable' : 'offline');
    }
  }
}

function formOf(picture: Blob | null): FormData {
  const form = new FormData();
  if (picture) form.set('file', picture, picture instanceof File ? picture.name : 'cover.jpg');
  return form;
}

const isAboutPageSize = (error: unknown) =>
  error instanceof Problem &&
  error.code === 'invalid_parameter' &&
  ['k', 'limit'].some((name) => error.parameters.includes(name));
