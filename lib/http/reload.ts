import type { Logger } from 'pino';
import type { Services } from '../services.ts';
import { toAppError } from './problem.ts';

export interface Reloader {
  /** Reads the files anew; where they can't be served the old ones go on being served, and the log says why. */
  reload: (why: 'signal' | 'manifest') => Promise<void>;
  stop: () => void;
}

/**
 * Serves new files without a restart: when it is told to, and by itself when the manifest, which is always
 * written last, is another.
 *
 * @param everySeconds how often the manifest is looked at; 0: never
 */
export function watchFiles(services: Services, log: Logger, everySeconds: number): Reloader {
  let running: Promise<void> | undefined;
  const reloadNow = async (why: string): Promise<void> => {
    const start = performance.now();
    log.info({ why }, 'reading the files anew');
    try {
      await services.reload();
      const ms = Math.round(performance.now() - start);
      log.info({ ms, albums: services.index.made?.size }, 'serving the new files');
    } catch (error) {
      const { code, detail, cause } = toAppError(error);
      log.error({ code, err: cause ?? error }, `${detail} The old files go on being served.`);
    }
  };
  /** One at a time: who comes while it runs wants what is there after it. */
  const reload = async (why: 'signal' | 'manifest'): Promise<void> => {
    const before = running;
    const mine = (async () => {
      await before;
      await reloadNow(why);
    })();
    running = mine;
    await mine;
  };

  let seen: string | undefined;
  const look = async (): Promise<void> => {
    const version = await (await services.assets()).version();
    const changed = seen !== undefined && version !== seen && version !== '';
    seen = version;
    if (changed) await reload('manifest');
  };
  const lookQuietly = () => {
    look().catch((error: unknown) => {
      log.warn({ err: error }, 'the manifest could not be looked at');
    });
  };
  const timer = everySeconds > 0 ? setInterval(lookQuietly, 1000 * everySeconds) : undefined;
  timer?.unref();
  if (timer) lookQuietly();
  return {
    reload,
    stop: () => {
      clearInterval(timer);
    },
  };
}
