import { pino, type Logger } from 'pino';
import { withoutKeys } from './api-keys.ts';
import type { Config } from './config.ts';

/** One JSON object a line on standard output; times as ISO 8601. No line has a key of the API in it. */
export const createLogger = (level: Config['logLevel']): Logger =>
  pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: withoutKeys },
  });
