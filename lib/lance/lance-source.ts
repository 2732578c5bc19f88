import type { Logger } from 'pino';
import { LanceCorpus, openTable, servedVersion } from './lance-corpus.ts';
import { withLance } from './lance.ts';
import type { LanceLocation } from './lance-location.ts';
import type { Corpus, CorpusSource } from '../search/corpus.ts';

/**
 * The current version of a table. Whether there is a newer one is asked in the background when the table is used, at most
 * every so many seconds: so it works in functions too, which have no timers between requests.
 */
export class LanceSource implements CorpusSource {
  readonly #location: LanceLocation;
  readonly #log: Logger;
  readonly #everyMs: number;
  readonly #assertFits: (next: Corpus) => Promise<void>;
  #corpus: LanceCorpus;
  #checkedAt = performance.now();
  #checking: Promise<void> | undefined;

  /** @param options.reloadSeconds 0: never @param options.assertFits throws if a new version can't be served */
  constructor(
    location: LanceLocation,
    log: Logger,
    options: { reloadSeconds: number; assertFits?: (next: Corpus) => Promise<void> },
  ) {
    const { reloadSeconds, assertFits = () => Promise.resolve() } = options;
    this.#location = location;
    this.#log = log;
    this.#everyMs = reloadSeconds > 0 ? 1000 * reloadSeconds : Infinity;
    this.#assertFits = assertFits;
    this.#corpus = new LanceCorpus(location);
  }

  get corpus(): LanceCorpus {
    if (performance.now() - this.#checkedAt >= this.#everyMs) {
      this.#checkedAt = performance.now();
      this.reload().catch((error: unknown) => {
        this.#log.warn(
          { err: error },
          'the table could not be checked; the old version is still being served',
        );
      });
    }
    return this.#corpus;
  }

  /** Serves the newest version. @throws AppError as `lanceError`; the old one then stays in use */
  reload(): Promise<void> {
    return (this.#checking ??= this.#follow().finally(() => {
      this.#checking = undefined;
    }));
  }

  async #follow(): Promise<void> {
    const { place } = this.#location;
    const newest = await withLance(place, async () =>
      servedVersion(await openTable(this.#location), this.#location),
    );
    if (this.#corpus.tableVersion === newest) return;
    const next = new LanceCorpus(this.#location);
    await next.load();
    await this.#assertFits(next);
    this.#corpus = next;
    this.#log.info(
      { version: next.tableVersion, albums: next.state.size },
      'serving the new version',
    );
  }
}
