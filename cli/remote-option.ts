import type { Command } from 'commander';
import type { Config } from '../lib/config.ts';
import type { Remote } from '../lib/sync/remote.ts';
import { openRemote } from '../lib/sync/open-remote.ts';
import { wholeNumber } from './run.ts';

export interface RemoteFlags {
  attempts: number;
}

/** How a place is written. */
export const placeHelp =
  'hf:USER/NAME[@REVISION] (a data set on the Hub), hf:spaces/USER/NAME, s3://bucket/prefix or a folder';

/** Adds the option that says how long a place that fails is put up with. */
export const withAttempts = (command: Command): Command =>
  command.option('--attempts <n>', 'times that a thing is asked for', wholeNumber(1), 6);

/** Opens a place by the settings. @throws AppError `invalid_config` */
export const remoteAt = (place: string, { attempts }: RemoteFlags, { hub, s3 }: Config): Remote =>
  openRemote(place, { hub, pathStyle: s3.pathStyle, attempts });
