import type { Readable } from 'node:stream';
import { AppError, isAppError } from '../errors.ts';
import { withRetries } from '../concurrency/retry.ts';

/** Attempts to read a body that breaks off, and the pause before the first retry in milliseconds. */
const policy = { attempts: 4, pauseMs: 100 };

/**
 * Reads a body completely.
 *
 * @param length exact size in bytes; reading stops as soon as more arrive
 * @throws Error if the size differs: see {@link retryRead}
 */
export async function readWhole(body: Readable, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > length) throw new Error(`received more than ${String(length)} bytes`);
    chunks.push(chunk);
  }
  if (size < length) throw new Error(`received ${String(size)} of ${String(length)} bytes`);
  return Buffer.concat(chunks);
}

/**
 * Retries a read whose body broke off; the SDK itself retries only failures before the body.
 *
 * @param uri for the message
 * @throws AppError any that `ask` throws, at once; `storage_unavailable` if all attempts failed
 */
export const retryRead = <T>(uri: string, ask: () => Promise<T>): Promise<T> =>
  orUnavailable(
    withRetries(ask, policy),
    (reason) => `${uri} could not be read from S3 (${reason}).`,
  );

/** @throws AppError as it is; any other error as `storage_unavailable` with this text */
export async function orUnavailable<T>(
  result: Promise<T>,
  explain: (reason: string) => string,
): Promise<T> {
  try {
    return await result;
  } catch (cause) {
    if (isAppError(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : 'unknown error';
    throw new AppError('storage_unavailable', explain(reason), { cause });
  }
}
