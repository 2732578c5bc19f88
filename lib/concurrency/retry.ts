import pRetry from 'p-retry';
import { isAppError } from '../errors.ts';

export interface RetryOptions {
  /** Most attempts, including the first. */
  attempts: number;
  /** Pause before the first retry, in milliseconds; it doubles each time, up to 30 s. Default: 500. */
  pauseMs?: number;
  /** Whether to retry after an error; may wait before it resolves. Default: {@link isTransient}. */
  retryOn?: (error: Error) => boolean | Promise<boolean>;
  signal?: AbortSignal | undefined;
}

/** The one retry policy: exponential back-off. @throws the last error, or the signal's reason */
export const withRetries = <T>(
  attempt: () => Promise<T>,
  { attempts, pauseMs = 500, retryOn = isTransient, signal }: RetryOptions,
): Promise<T> =>
  pRetry(attempt, {
    retries: attempts - 1,
    minTimeout: pauseMs,
    maxTimeout: 30_000,
    signal,
    shouldRetry: ({ error }) => signal?.aborted !== true && retryOn(error),
  });

/** Errors of the disk: a retry would not help. */
const diskErrors = ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'EFBIG'];

/** Whether an error comes from a connection: neither an `AppError` nor an error of the disk. */
export const isTransient = (error: unknown): boolean =>
  !isAppError(error) &&
  !(error instanceof Error && 'code' in error && diskErrors.includes(String(error.code)));
