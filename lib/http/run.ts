import { loadConfig, sizeThreadPool } from '../config/config.ts';
import { isAppError } from '../errors.ts';
import { createLogger } from '../log.ts';
import { startServer } from './server.ts';

/**
 * The server's process: reads the environment, serves, reloads the files on SIGHUP, and on SIGTERM or SIGINT finishes
 * requests in flight and exits with 0, or with 1 if time runs out. If it cannot start, it logs why and exits with 1.
 */
export async function run(): Promise<void> {
  sizeThreadPool();
  const log = createLogger('info');
  try {
    const config = loadConfig();
    log.level = config.logLevel;
    const server = await startServer(config, log);
    server.warm.catch(() => undefined); // reported in the log and by /ready
    process.on('SIGHUP', () => void server.reload());
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        log.info({ signal }, 'finishing requests in flight');
        void server.close().then((inTime) => {
          log.info({ in_time: inTime }, 'ended');
          process.exit(inTime ? 0 : 1);
        });
      });
  } catch (error) {
    if (isAppError(error)) log.fatal({ code: error.code }, error.detail);
    else log.fatal({ err: error }, 'could not start');
    process.exitCode = 1;
  }
}
