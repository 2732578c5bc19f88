import { Command } from 'commander';
import type { Config } from '../lib/config/config.ts';
import { verifyFiles, type Finding } from '../pipeline/indexing/verify.ts';
import { isLanceUri, lanceLocation } from '../lib/lance/lance-location.ts';
import { verifyTable } from '../pipeline/lance/verify-table.ts';
import { modelFolder, withModel, type ModelOptions } from './model-option.ts';
import { exitCodes } from './output.ts';
import { numberWithin, runTask, wholeNumber, withJson } from './run.ts';

interface VerifyFlags extends ModelOptions {
  images?: string;
  drift: number;
  similarity: number;
  covers: boolean;
  json?: boolean;
}

const marks: Record<Finding['level'], string> = {
  ok: 'ok      ',
  note: 'note    ',
  warning: 'warning ',
  error: 'ERROR   ',
};

/** `verify`: checks a set of files, one line per finding. */
export const verifyCommand = (config: Config): Command =>
  withModel(
    withJson(
      new Command('verify')
        .description('check a set of files for errors')
        .argument(
          '[dir]',
          'folder of index, metadata and manifest, or the URI of a LanceDB table',
          config.catalogUri ?? config.assets.modelsDir,
        )
        .option('--images <dir>', 'folder of the covers', config.assets.imagesDir)
        .option('--no-covers', 'skip the checks of covers and of model drift')
        .option('--drift <n>', 'covers to embed again, to detect model drift', wholeNumber(1), 32)
        .option(
          '--similarity <cosine>',
          'two covers at least this similar count as near duplicates',
          numberWithin(0, 1),
          0.99,
        ),
    ),
  )
    .addHelpText(
      'after',
      `\nExit status: 0 no errors (but perhaps notes and warnings), ${String(exitCodes.found)} errors found.`,
    )
    .action((dir: string, flags: VerifyFlags) =>
      runTask(flags, async ({ output, signal }) => {
        const isTable = isLanceUri(dir);
        const modelDir =
          flags.covers && !isTable ? await modelFolder(flags, config, output) : undefined;
        let errors = 0;
        const checking = isTable
          ? verifyTable(lanceLocation(dir, config.s3))
          : verifyFiles({
              dir,
              imagesDir: flags.covers ? flags.images : undefined,
              modelDir,
              dtype: flags.dtype,
              driftSample: flags.drift,
              duplicateSimilarity: flags.similarity,
            });
        for await (const event of checking) {
          signal.throwIfAborted();
          if (event.type === 'progress')
            output.progress(`checking ${event.check}`, event.done, event.total);
          else {
            if (event.level === 'error') errors += 1;
            output.result(event, `${marks[event.level]}${event.check.padEnd(11)}${event.message}`);
          }
        }
        return errors > 0 ? exitCodes.found : exitCodes.done;
      }),
    );
