import type { ApiClient, SearchPage, SearchRequest } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { AlbumResult, Identified } from '../api/types.ts';

/** One search and what it has found so far. It outlives its view, so that going back shows it at once. */
export class SearchRun {
  readonly request: SearchRequest;
  readonly albums: AlbumResult[] = [];
  /** The albums recognised in the picture, largest first; `null` where none were looked for. */
  identified: readonly Identified[] | null = null;
  /** Nothing more can be had. */
  ended = false;
  /** What kept the last try from succeeding. */
  problem: Problem | undefined;
  readonly #client: ApiClient;
  #loading: Promise<number> | undefined;
  readonly #leave = new AbortController();

  /** @param found its first page, where that is known already */
  constructor(client: ApiClient, request: SearchRequest, found?: SearchPage) {
    this.#client = client;
    this.request = request;
    if (found) this.#add(found);
  }

  /** The albums that are no finding: covers that look like it. */
  get others(): AlbumResult[] {
    const found = new Set(this.identified?.map(({ album_id }) => album_id));
    return this.albums.filter(({ album_id }) => !found.has(album_id));
  }

  get loading(): boolean {
    return this.#loading !== undefined;
  }

  /**
   * Asks for the next page; while one is on its way, that is the one.
   *
   * @returns how many albums came; none where {@link problem} says why
   */
  more(): Promise<number> {
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** Nobody waits for an answer any more. */
  leave(): void {
    if (this.loading) this.#leave.abort();
  }

  /** Whether the answer was not waited for: such a run is of no use any more. */
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

  #add({ albums, identified, last }: SearchPage): void {
    if (this.albums.length === 0) this.identified = identified;
    this.albums.push(...albums);
    this.ended = last;
  }
}
