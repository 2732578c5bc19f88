import type { Command } from 'commander';
import type { Config } from '../lib/config/config.ts';
import type { Remote } from '../pipeline/sync/remote.ts';
import { openRemote } from '../pipeline/sync/open-remote.ts';
import { wholeNumber } from './run.ts';

export interface RemoteFlags {
  attempts: number;
}

/** The forms of a source or target. */
export const placeHelp =
  'hf:USER/NAME[@REVISION] (a data set on the Hub), hf:spaces/USER/NAME, s3://bucket/prefix or a folder';

/** Adds the option for the number of attempts per request. */
export const withAttempts = (command: Command): Command =>
  command.option('--attempts <n>', 'attempts per request', wholeNumber(1), 6);

/** Opens a source or target with the configured settings. @throws AppError `invalid_config` */
export const remoteAt = (place: string, { attempts }: RemoteFlags, { hub, s3 }: Config): Remote =>
  openRemote(place, { hub, pathStyle: s3.pathStyle, attempts });
