import { AppError } from '../errors.ts';
import type { Depot } from './depot.ts';
import { FolderDepot } from './folder-depot.ts';
import { HubDepot, type HubOptions } from './hub-depot.ts';
import { S3Depot } from './s3-depot.ts';

export interface DepotOptions {
  hub: HubOptions;
  /** Bucket names in the path. */
  pathStyle: boolean;
  /** Times that the Hub is asked for a thing; S3's client has rules of its own. */
  attempts: number;
}

/** `hf:`, maybe the kind of repository, its owner and name, and maybe a revision. */
const hubPattern = /^hf:(?:(models|datasets|spaces)\/)?([\w.-]+\/[\w.-]+)(?:@(\S+))?$/;

const hubTypes = { models: 'model', datasets: 'dataset', spaces: 'space' } as const;

/**
 * Opens the place that an address names.
 *
 * @param address `hf:USER/NAME` (a data set on the Hub), `hf:spaces/USER/NAME`, each with `@REVISION` or without;
 *   `s3://bucket/prefix`; else a folder
 * @throws AppError `invalid_config`
 */
export function openDepot(address: string, { hub, pathStyle, attempts }: DepotOptions): Depot {
  if (/^s3:\/\/[^/]/.test(address)) return new S3Depot(address, { pathStyle });
  if (!/^(hf:|[a-z]\w+:\/\/)/i.test(address)) return new FolderDepot(address);
  const [, kind = 'datasets', name, revision = 'main'] = hubPattern.exec(address) ?? [];
  if (name === undefined)
    throw new AppError(
      'invalid_config',
      `Expected hf:USER/NAME or hf:spaces/USER/NAME, maybe with @REVISION, s3://bucket/prefix or a folder, but received "${address}".`,
    );
  return new HubDepot(
    { type: hubTypes[kind as keyof typeof hubTypes], name },
    revision,
    hub,
    attempts,
  );
}
