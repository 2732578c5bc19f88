import { pino, type Logger } from 'pino';
import type { Config } from './config.ts';

/** One JSON object a line on standard output; times as ISO 8601. */
export const createLogger = (level: Config['logLevel']): Logger =>
  pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
