import { Command } from 'commander';
import type { Config } from '../lib/config.ts';
import { pushFiles, type PushEvent } from '../lib/sync/push-files.ts';
import { remoteAt, placeHelp, withAttempts, type RemoteFlags } from './remote-option.ts';
import { counted, type Output } from './output.ts';
import { runTask, withJson } from './run.ts';

interface PushFlags extends RemoteFlags {
  models?: string;
  images?: string;
  covers: boolean;
  withModel?: boolean;
  prune?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** `push`: ships what is served to where it is served from. */
export const pushCommand = (config: Config): Command =>
  withJson(
    withAttempts(new Command('push'))
      .description('ship index, metadata and covers; only what changed')
      .argument('<place>', placeHelp)
      .option('--models <dir>', 'folder of index, metadata and manifest (default: MODELS_DIR)')
      .option('--images <dir>', 'folder of the covers (default: IMAGES_DIR)')
      .option('--no-covers', 'ship the index alone')
      .option('--with-model', 'ship clip/ too')
      .option('--prune', 'take covers away there that are not here')
      .option('--dry-run', 'only tell what would be done'),
  ).action((place: string, flags: PushFlags, command: Command) => {
    if (flags.prune === true && !flags.covers)
      command.error('error: --prune is about covers, and --no-covers leaves them out');
    return runTask(flags, async ({ output, signal }) => {
      const { assets } = config;
      for await (const event of pushFiles({
        remote: remoteAt(place, flags, config),
        modelsDir: flags.models ?? assets.modelsDir,
        imagesDir: flags.covers ? (flags.images ?? assets.imagesDir) : undefined,
        withModel: flags.withModel === true,
        prune: flags.prune === true,
        dryRun: flags.dryRun === true,
        signal,
      }))
        show(event, output);
      return undefined;
    });
  });

/** Paths that are told one by one; of more, the first. */
const namesShown = 10;

function show(event: PushEvent, output: Output): void {
  switch (event.type) {
    case 'compared': {
      const list = (sign: string, paths: readonly string[]) => [
        ...paths.slice(0, namesShown).map((path) => `  ${sign} ${path}`),
        ...(paths.length > namesShown
          ? [`  ${sign} … ${String(paths.length - namesShown)} more`]
          : []),
      ];
      output.result(
        event,
        [
          `${counted(event.changed.length, 'file')} to ship, ${event.removed.length.toLocaleString('en')} to take away, ${event.unchanged.toLocaleString('en')} unchanged`,
          ...list('+', event.changed),
          ...list('-', event.removed),
        ].join('\n'),
      );
      break;
    }
    case 'shipped':
      output.progress('shipping files', event.done, event.total);
      break;
    case 'pushed':
      output.result(
        event,
        `shipped ${counted(event.files, 'file')}, took ${event.removed.toLocaleString('en')} away`,
      );
  }
}
