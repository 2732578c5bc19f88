import { createRequire } from 'node:module';
import type * as Arrow from 'apache-arrow';
import { lazy } from '../concurrency/lazy.ts';
import { sizeLancePool } from '../config/config.ts';
import { AppError, isAppError } from '../errors.ts';

export type { Table as LanceTable } from '@lancedb/lancedb';
export type ArrowTable = Arrow.Table;

/** Albums in each part of the index of embeddings: a search visits some of the parts. */
export const albumsInPart = 4096;

/** The release that is tested; newer ones have other dependencies. `-P`: it is a package for development here. */
const howToInstall = 'npm install --no-save -P --omit=dev @lancedb/lancedb@0.31.0';

/** LanceDB and its Arrow. Loaded on first use, since the package is optional. The only importer. */
export const loadLance = lazy(async () => {
  sizeLancePool();
  try {
    const lancedb = await import('@lancedb/lancedb');
    // By require: it must be the instance that LanceDB uses, which is CommonJS.
    const arrow = createRequire(import.meta.url)('apache-arrow') as typeof Arrow;
    return { lancedb, arrow };
  } catch (cause) {
    throw new AppError(
      'invalid_config',
      `A lance:// catalog needs LanceDB, which is not installed: run ${howToInstall}`,
      { cause },
    );
  }
});

/** Messages of the store's client (Rust's object_store) if it can't be reached or refuses. */
const storeFailure =
  /error sending request|connect(ion)? (error|refused|reset)|timed? ?out|timeout|dns error|HTTP error|status code: 5|5\d\d [A-Z]|SlowDown|client error|Unauthenticated|PermissionDenied|AccessDenied|40[13] |InvalidAccessKeyId|SignatureDoesNotMatch|CredentialsNotLoaded|credential/i;

const notATable = /Table '[^']*' was not found|NoSuchBucket|TableNotFound/;

/**
 * What an error of LanceDB means, in one sentence.
 *
 * @param place the table's URI
 * @returns AppError `storage_unavailable` if the store can't be reached, `assets_missing` if there is no table,
 *   `index_unreadable` if it is damaged or a file of it is missing
 */
export function lanceError(error: unknown, place: string): AppError {
  if (isAppError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  const refuse = (code: AppError['code'], detail: string) =>
    new AppError(code, detail, { cause: error });
  if (notATable.test(text))
    return refuse(
      'assets_missing',
      `There is no table of albums in ${place}: create it with index import or index build.`,
    );
  if (storeFailure.test(text))
    return refuse(
      'storage_unavailable',
      `The table in ${place} can't be reached: its store does not answer, or refuses access.`,
    );
  return refuse(
    'index_unreadable',
    `The table in ${place} can't be read: a file of it is missing or damaged.`,
  );
}

/** Does work with LanceDB. @throws AppError as {@link lanceError} */
export async function withLance<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error;
    throw lanceError(error, place);
  }
}
