import { Command } from 'commander';
import { importCsv } from '../pipeline/csv-import/import-csv.ts';
import { counted } from './output.ts';
import { runTask, wholeNumber, withJson } from './run.ts';

interface ImportFlags {
  out: string;
  concurrency: number;
  perHost: number;
  attempts: number;
  allowPrivate?: boolean;
  json?: boolean;
}

/** `import csv`: creates metadata and covers from a list of albums with cover URLs. */
export const importCommand = (): Command =>
  new Command('import').description('create a catalog from other data').addCommand(
    withJson(
      new Command('csv')
        .description(
          'import a CSV with artist, album, genre, year, score, best new music and cover URL',
        )
        .argument('<file>')
        .requiredOption('--out <dir>', 'output folder for valid_metadata_final.json and images/')
        .option('--concurrency <n>', 'covers downloaded at a time', wholeNumber(1), 16)
        .option('--per-host <n>', 'covers downloaded from one host at a time', wholeNumber(1), 4)
        .option('--attempts <n>', 'attempts per cover', wholeNumber(1), 4)
        .option('--allow-private', 'allow downloads from private addresses'),
    ).action((file: string, flags: ImportFlags) =>
      runTask(flags, async ({ output, signal }) => {
        const { out, concurrency, perHost, attempts } = flags;
        const options = {
          concurrency,
          perHost,
          attempts,
          allowPrivate: flags.allowPrivate === true,
        };
        for await (const event of importCsv({ csvPath: file, outDir: out, signal, ...options }))
          switch (event.type) {
            case 'read':
              output.result(event, `${counted(event.albums, 'album')} with a cover`);
              for (const note of event.notes) output.note({ type: 'note', note }, note);
              if (event.withoutCover.length > 0)
                output.note(
                  { type: 'without_cover', lines: event.withoutCover },
                  `${counted(event.withoutCover.length, 'row')} without a cover URL skipped (lines ${event.withoutCover.slice(0, 5).join(', ')}${event.withoutCover.length > 5 ? ', …' : ''})`,
                );
              break;
            case 'present':
              output.result(event, `${counted(event.albums, 'cover')} already present`);
              break;
            case 'downloaded':
              output.progress('downloading covers', event.done, event.total);
              break;
            case 'failed':
              output.note(event, `album ${String(event.albumId)}: ${event.url}: ${event.reason}`);
              break;
            case 'imported':
              output.result(
                event,
                `${counted(event.albums, 'album')} in ${event.metadataPath}${event.failed > 0 ? `; ${counted(event.failed, 'cover')} could not be downloaded: run it again to retry` : ''}`,
              );
          }
        return undefined;
      }),
    ),
  );
