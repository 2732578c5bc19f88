import { filterParameters, type Filters, type Subject } from '../address.ts';
import { apiKey } from './key.ts';
import { Problem, readProblem } from './problem.ts';
import type { Album, AlbumResult, GenreCount, Health, Identified, YearRange } from './types.ts';

/** How far the API allows paging into the results of a search, in albums. */
export const deepest = 200;

/** Albums per page: fills whole rows of 2, 3, 4, 6 or 8. */
const pageSize = 24;

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
   * @returns the next page; albums recognised in the picture come first
   */
  async search(request: SearchRequest, offset: number, signal: AbortSignal): Promise<SearchPage> {
    const size = this.#pageSize;
    try {
      const answer = await this.#searchPage(request, { offset, size, signal });
      const { results: albums, identified = null } = answer;
      const last = albums.length < (size ?? 1) || offset + albums.length >= deepest;
      return { albums, last, identified };
    } catch (error) {
      if (size === undefined || !isAboutPageSize(error)) throw error;
      this.#pageSize = undefined;
      return this.search(request, offset, signal);
    }
  }

  async #searchPage(
    { subject, filters, picture }: SearchRequest,
    page: { offset: number; size: number | undefined; signal: AbortSignal },
  ): Promise<SearchAnswer> {
    const parameters = filterParameters(filters);
    if (page.size !== undefined) parameters.set('k', String(page.size));
    if (page.offset > 0) parameters.set('offset', String(page.offset));
    const { signal } = page;
    if (subject.kind === 'text') parameters.set('query', subject.query);
    const path =
      subject.kind === 'text'
        ? 'api/search-by-text'
        : subject.kind === 'similar'
          ? `api/albums/${String(subject.albumId)}/similar`
          : 'api/search-by-image';
    const init: RequestInit =
      subject.kind === 'picture' ? { method: 'POST', body: formOf(picture), signal } : { signal };
    return this.#ask(`${path}?${parameters.toString()}`, init);
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
  error instanceof Problem && error.code === 'invalid_parameter' && error.parameters.includes('k');
