import type { ApiClient, SearchPage, SearchRequest } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { AlbumResult, Identified } from '../api/types.ts';

/** One search and its results so far. It outlives its view, so that going back shows it at once. */
export class SearchRun {
  readonly request: SearchRequest;
  readonly albums: AlbumResult[] = [];
  /** Albums whose names match the text. */
  names: readonly AlbumResult[] = [];
  /** The albums recognised in the picture, largest first; `null` if recognition was not attempted. */
  identified: readonly Identified[] | null = null;
  /** Whether all results are loaded. */
  ended = false;
  /** Why the last request failed. */
  problem: Problem | undefined;
  readonly #client: ApiClient;
  #loading: Promise<number> | undefined;
  readonly #leave = new AbortController();

  /** @param found the first page, if already loaded */
  constructor(client: ApiClient, request: SearchRequest, found?: SearchPage) {
    this.#client = client;
    this.request = request;
    if (found) this.#add(found);
  }

  /** The results that are only similar: all but the recognised albums. */
  get others(): AlbumResult[] {
    const found = new Set(this.identified?.map(({ album_id }) => album_id));
    return this.albums.filter(({ album_id }) => !found.has(album_id));
  }

  get loading(): boolean {
    return this.#loading !== undefined;
  }

  /**
   * Requests the next page. During a request, returns the pending one.
   *
   * @returns number of albums added; 0 on failure, see {@link problem}
   */
  more(): Promise<number> {
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** Aborts the pending request, if any. */
  leave(): void {
    if (this.loading) this.#leave.abort();
  }

  /** Whether a request was aborted. Such a run can't be used any more. */
  get left(): boolean {
    return this.#leave.signal.aborted;
  }

  async #load(): Promise<number> {
    this.problem = undefined;
    try {
      const page = await this.#client.search(this.request, this.albums.length, this.#leave.signal);
      this.#add(page);
      return page.albums.length;
    } catch (error) {
      if (error instanceof Problem) this.problem = error;
      else if (!this.left) throw error;
      return 0;
    }
  }

  #add({ albums, identified, last, names }: SearchPage): void {
    if (this.albums.length === 0) {
      this.identified = identified;
      this.names = names;
    }
    this.albums.push(...albums);
    this.ended = last;
  }
}
