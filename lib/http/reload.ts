import type { Logger } from 'pino';
import type { Services } from '../services.ts';
import { toAppError } from './problem.ts';

/** Most checks of the manifest that are skipped before files that could not be served are tried again. */
const mostLooksBetween = 31;

/**
 * Serves new files without a restart: on demand, and automatically when the manifest, which is always written last, has
 * changed. Files that can't be served (one of them was still being written, S3 did not respond) are retried after
 * skipping one check of the manifest, then three, seven and so on.
 *
 * @param everySeconds interval between checks of the manifest; 0: never
 */
export function watchFiles(services: Services, log: Logger, everySeconds: number) {
  let running = Promise.resolve(true);
  const reloadNow = async (why: string): Promise<boolean> => {
    const start = performance.now();
    log.info({ why }, 'reloading the files');
    try {
      await services.reload();
      const ms = Math.round(performance.now() - start);
      log.info({ ms, albums: services.corpus.state.size }, 'serving the new files');
      return true;
    } catch (error) {
      const { code, detail, cause } = toAppError(error);
      log.error({ code, err: cause ?? error }, `${detail} The old files are still being served.`);
      return false;
    }
  };
  /**
   * Reloads the files. If they can't be served, the old ones stay in use, and the log says why. One at a time: a
   * request during a reload causes another one after it.
   *
   * @returns whether the new ones are served
   */
  const reload = (why: 'signal' | 'manifest') => (running = running.then(() => reloadNow(why)));

  /** The version that is served, or the one found at the first check. */
  let seen: string | undefined;
  /** A version that could not be served, how often it was tried, and the checks left until the next attempt. */
  let refused = { version: '', times: 0, looksLeft: 0 };
  const look = async (): Promise<void> => {
    const version = await (await services.assets()).version();
    if (seen === undefined || version === '') seen = version;
    if (version === seen) return;
    if (version === refused.version && refused.looksLeft > 0) {
      refused.looksLeft -= 1;
      return;
    }
    if (await reload('manifest')) {
      seen = version;
      return;
    }
    const times = version === refused.version ? refused.times + 1 : 1;
    refused = { version, times, looksLeft: Math.min(2 ** times - 1, mostLooksBetween) };
  };
  const lookQuietly = () => {
    look().catch((error: unknown) => {
      log.warn({ err: error }, 'the manifest could not be checked');
    });
  };
  const timer =
    everySeconds > 0 ? setInterval(lookQuietly, 1000 * everySeconds).unref() : undefined;
  if (timer) lookQuietly();
  return {
    reload,
    stop: () => {
      clearInterval(timer);
    },
  };
}
