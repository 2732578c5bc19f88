import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import pRetry from 'p-retry';
import { AppError, isAppError } from '../errors.ts';

/** Times that a body is asked for anew where it breaks off, and the pause before the first, in milliseconds. */
const retries = 3;
const pauseMs = 100;

/**
 * Reads a body to its end.
 *
 * @param length bytes that it must have
 * @throws Error where other than these come: see {@link retryBroken}
 */
export async function readWhole(body: Readable, length: number): Promise<Buffer> {
  const bytes = await buffer(body);
  if (bytes.length === length) return bytes;
  throw new Error(`${String(bytes.length)} of ${String(length)} bytes came`);
}

/**
 * Asks again where a body broke off; the SDK itself retries only what goes wrong before the body.
 *
 * @param uri for the message
 * @throws AppError what `ask` throws as one, at once; `storage_unavailable` where it broke off every time
 */
export async function retryBroken<T>(uri: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await pRetry(ask, {
      retries,
      minTimeout: pauseMs,
      shouldRetry: ({ error }) => !isAppError(error),
    });
  } catch (error) {
    if (isAppError(error)) throw error;
    const reason = error instanceof Error ? error.message : 'unknown error';
    throw new AppError('storage_unavailable', `${uri} could not be read from S3 (${reason}).`, {
      cause: error,
    });
  }
}
