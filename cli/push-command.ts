import { Command } from 'commander';
import type { Config } from '../lib/config/config.ts';
import { pushFiles, type PushEvent } from '../pipeline/sync/push-files.ts';
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

/** `push`: uploads the files that the service uses. */
export const pushCommand = (config: Config): Command =>
  withJson(
    withAttempts(new Command('push'))
      .description('upload index, metadata and covers; only what changed')
      .argument('<place>', placeHelp)
      .option('--models <dir>', 'folder of index, metadata and manifest (default: MODELS_DIR)')
      .option('--images <dir>', 'folder of the covers (default: IMAGES_DIR)')
      .option('--no-covers', 'upload no covers')
      .option('--with-model', 'upload clip/ too')
      .option('--prune', 'delete covers at the target that do not exist here')
      .option('--dry-run', 'only show what would change'),
  ).action((place: string, flags: PushFlags, command: Command) => {
    if (flags.prune === true && !flags.covers)
      command.error('error: --prune and --no-covers exclude each other');
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

/** Most paths listed by name. */
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
          `${counted(event.changed.length, 'file')} to upload, ${event.removed.length.toLocaleString('en')} to delete, ${event.unchanged.toLocaleString('en')} unchanged`,
          ...list('+', event.changed),
          ...list('-', event.removed),
        ].join('\n'),
      );
      break;
    }
    case 'shipped':
      output.progress('uploading files', event.done, event.total);
      break;
    case 'pushed':
      output.result(
        event,
        `uploaded ${counted(event.files, 'file')}, deleted ${event.removed.toLocaleString('en')}`,
      );
  }
}
