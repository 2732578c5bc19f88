import { Command } from 'commander';
import type { Config } from '../lib/config.ts';
import { verifyFiles, type Finding } from '../lib/indexing/verify.ts';
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

/** `verify`: everything that can be wrong with a set of files, one line each. */
export const verifyCommand = (config: Config): Command =>
  withModel(
    withJson(
      new Command('verify')
        .description('look for everything that can be wrong with a set of files')
        .argument('[dir]', 'folder of index, metadata and manifest', config.assets.modelsDir)
        .option('--images <dir>', 'folder of the covers', config.assets.imagesDir)
        .option('--no-covers', 'look neither at the covers nor for drift')
        .option('--drift <n>', 'covers to embed again', wholeNumber(1), 32)
        .option(
          '--similarity <cosine>',
          'from which two covers count as nearly the same',
          numberWithin(0, 1),
          0.99,
        ),
    ),
  )
    .addHelpText(
      'after',
      `\nExit status: 0 nothing is wrong (notes and warnings may be), ${String(exitCodes.found)} errors were found.`,
    )
    .action((dir: string, flags: VerifyFlags) =>
      runTask(flags, async ({ output, signal }) => {
        const modelDir = flags.covers ? await modelFolder(flags, config, output) : undefined;
        let errors = 0;
        for await (const event of verifyFiles({
          dir,
          imagesDir: flags.covers ? flags.images : undefined,
          modelDir,
          dtype: flags.dtype,
          driftSample: flags.drift,
          duplicateSimilarity: flags.similarity,
        })) {
          signal.throwIfAborted();
          if (event.type === 'progress')
            output.progress(`looking at ${event.check}`, event.done, event.total);
          else {
            if (event.level === 'error') errors += 1;
            output.result(event, `${marks[event.level]}${event.check.padEnd(11)}${event.message}`);
          }
        }
        return errors > 0 ? exitCodes.found : exitCodes.done;
      }),
    );
