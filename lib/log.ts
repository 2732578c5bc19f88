import { pino, type Logger } from 'pino';
import { withoutKeys } from './config/api-keys.ts';
import type { Config } from './config/config.ts';

/** One JSON object per line on standard output, with ISO 8601 times. API keys are removed from every line. */
export const createLogger = (level: Config['logLevel']): Logger =>
  pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: withoutKeys },
  });
