import { filterParameters, type Filters, type Subject } from '../address.ts';
import { apiKey } from './key.ts';
import { Problem, readProblem } from './problem.ts';
import type { Album, AlbumResult, GenreCount, Health, Identified, YearRange } from './types.ts';

/** How deep the API lets one page into an answer, in albums. */
export const deepest = 200;

/** Albums a page: fills whole rows of 2, 3, 4, 6 or 8. */
const pageSize = 24;

/** After so many milliseconds without an answer one is told so. */
const patienceMs = 60_000;

/** Edges in pixels of the thumbnails that the API makes. */
const thumbnailSizes = [160, 320, 640] as const;

export interface SearchRequest {
  subject: Exclude<Subject, { kind: 'nothing' }>;
  filters: Filters;
  /** For a search by picture. */
  picture: Blob | null;
}

/** A part of the answer to a search. */
export interface SearchPage {
  albums: AlbumResult[];
  /** Nothing comes after it. */
  last: boolean;
  /** The albums recognised in the picture, largest first; `null` where none were looked for. */
  identified: Identified[] | null;
}

/** What the API answers to a search. */
interface SearchAnswer {
  results: AlbumResult[];
  identified?: Identified[] | null;
}

/** The public HTTP API, wherever it is. Every method throws {@link Problem}. */
export class ApiClient {
  readonly #base: URL;
  /** `undefined`: as many as the API gives by itself, where its operator allows fewer than a page. */
  #pageSize: number | undefined = pageSize;

  /** @param base the API's URL, with a slash at its end where it has a path */
  constructor(base: URL) {
    this.#base = base;
  }

  /**
   * @param offset how many of the best are known already
   * @returns the next albums, those recognised in the picture first
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

  /** How many albums there are to be found. */
  async totalAlbums(): Promise<number> {
    return (await this.#ask<{ total_albums: number }>('api/stats')).total_albums;
  }

  /** Most albums first. */
  async genres(): Promise<GenreCount[]> {
    return (await this.#ask<{ genres: GenreCount[] }>('api/genres')).genres;
  }

  yearRange(): Promise<YearRange> {
    return this.#ask('api/year-range');
  }

  /** A few albums from somewhere in the answer to a search. */
  async someAlbums(query: string, count: number, offset: number): Promise<AlbumResult[]> {
    const parameters = new URLSearchParams({ query, k: String(count), offset: String(offset) });
    const path = `api/search-by-text?${parameters.toString()}`;
    return (await this.#ask<{ results: AlbumResult[] }>(path)).results;
  }

  /** @param size edge in pixels; without it the cover as it is */
  coverUrl(albumId: number, size?: (typeof thumbnailSizes)[number]): string {
    const query = size === undefined ? '' : `?size=${String(size)}`;
    return this.#url(`api/image/${String(albumId)}${query}`);
  }

  /** The thumbnails of a cover, for an `<img>`'s `srcset`. */
  coverSet(albumId: number): string {
    return thumbnailSizes
      .map((size) => `${this.coverUrl(albumId, size)} ${String(size)}w`)
      .join(', ');
  }

  /** The API's own documentation, for people. */
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
    // Not `Authorization`, which a proxy in front of the API may need for itself.
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
