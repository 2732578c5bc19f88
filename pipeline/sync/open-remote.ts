import { AppError } from '../../lib/errors.ts';
import type { Remote } from './remote.ts';
import { FolderRemote } from './folder-remote.ts';
import { HubRemote, type HubOptions } from './hub-remote.ts';
import { S3Remote } from './s3-remote.ts';

export interface RemoteOptions {
  hub: HubOptions;
  /** Buckets in the path instead of the host name. */
  pathStyle: boolean;
  /** Most attempts per request to the Hub; the S3 client has its own policy. */
  attempts: number;
}

/** `hf:`, optionally the kind of repository, its owner and name, and optionally a revision. */
const hubPattern = /^hf:(?:(models|datasets|spaces)\/)?([\w.-]+\/[\w.-]+)(?:@(\S+))?$/;

const hubTypes = { models: 'model', datasets: 'dataset', spaces: 'space' } as const;

/**
 * Opens the remote that an address names.
 *
 * @param address `hf:USER/NAME` (a data set on the Hub), `hf:spaces/USER/NAME`, each with `@REVISION` or without;
 *   `s3://bucket/prefix`; else a folder
 * @throws AppError `invalid_config`
 */
export function openRemote(address: string, { hub, pathStyle, attempts }: RemoteOptions): Remote {
  if (/^s3:\/\/[^/]/.test(address)) return new S3Remote(address, { pathStyle });
  if (!/^(hf:|[a-z]\w+:\/\/)/i.test(address)) return new FolderRemote(address);
  const [, kind = 'datasets', name, revision = 'main'] = hubPattern.exec(address) ?? [];
  if (name === undefined)
    throw new AppError(
      'invalid_config',
      `Expected hf:USER/NAME or hf:spaces/USER/NAME, maybe with @REVISION, s3://bucket/prefix or a folder, but received "${address}".`,
    );
  return new HubRemote(
    { type: hubTypes[kind as keyof typeof hubTypes], name },
    revision,
    hub,
    attempts,
  );
}
