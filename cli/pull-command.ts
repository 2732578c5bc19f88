import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { clipDtypes, type ClipDtype } from '../lib/clip/model-files.ts';
import type { Config } from '../lib/config/config.ts';
import type { Remote } from '../pipeline/sync/remote.ts';
import { pullFiles, type PullOptions, type PullPlan } from '../pipeline/sync/pull-files.ts';
import { catalogPlan, modelPlan, weightsPlan } from '../pipeline/sync/set-layout.ts';
import { clipName } from '../lib/assets/assets.ts';
import { remoteAt, placeHelp, withAttempts, type RemoteFlags } from './remote-option.ts';
import { bytesText, counted } from './output.ts';
import { runTask, wholeNumber, withJson, type Task } from './run.ts';

/** The design's export of OpenAI's CLIP ViT-B/32, pinned to one commit. */
const clipModel = 'hf:models/Xenova/clip-vit-base-patch32@d15189d7028b43f1d3e65039190477f6af591c2a';

/** Files downloaded at a time: enough to be fast with small covers, without flooding the server. */
const atATime = 8;

/** `pull model` and `pull catalog`. */
export const pullCommand = (config: Config): Command =>
  new Command('pull')
    .description(
      'download a model or a catalog; resumes interrupted downloads, skips files already present',
    )
    .addCommand(pullModel(config))
    .addCommand(pullCatalog(config));

interface PullFlags extends RemoteFlags {
  concurrency: number;
  json?: boolean;
}

const withPullOptions = (command: Command): Command =>
  withJson(withAttempts(command)).option(
    '--concurrency <n>',
    'files downloaded at a time',
    wholeNumber(1),
    atATime,
  );

const pullModel = (config: Config): Command =>
  withPullOptions(
    new Command('model')
      .description('the CLIP model from the Hugging Face Hub')
      .option('--dtype <list>', 'precisions to download: fp32, fp16, q8', parseDtypes, ['q8'])
      .option('--from <place>', 'another source of an ONNX model', clipModel)
      .option('--out <dir>', 'folder of the model (default: clip in MODELS_DIR)'),
  ).action((flags: PullFlags & { dtype: ClipDtype[]; from: string; out?: string }) => {
    const modelDir = flags.out ?? join(config.assets.modelsDir, clipName);
    return pull(config, flags, flags.from, modelDir, [
      (remote, signal) => modelPlan(remote, modelDir, flags.dtype, signal),
      () => weightsPlan(modelDir, flags.dtype),
    ]);
  });

const pullCatalog = (config: Config): Command =>
  withPullOptions(
    new Command('catalog')
      .description('index, metadata and covers')
      .argument('<place>', placeHelp)
      .option('--models <dir>', 'folder for index, metadata and manifest (default: MODELS_DIR)')
      .option('--images <dir>', 'folder for the covers (default: IMAGES_DIR)')
      .option('--no-covers', 'download no covers'),
  ).action(
    (place: string, flags: PullFlags & { models?: string; images?: string; covers: boolean }) => {
      const modelsDir = flags.models ?? config.assets.modelsDir;
      const imagesDir = flags.covers ? (flags.images ?? config.assets.imagesDir) : undefined;
      const where = imagesDir === undefined ? modelsDir : `${modelsDir} and ${imagesDir}`;
      return pull(config, flags, place, where, [() => catalogPlan({ modelsDir, imagesDir })]);
    },
  );

function parseDtypes(text: string): ClipDtype[] {
  const dtypes = clipDtypes.filter((dtype) => text.split(',').includes(dtype));
  if (dtypes.length === text.split(',').length) return dtypes;
  throw new InvalidArgumentError(`Expected some of ${clipDtypes.join(', ')}, separated by commas.`);
}

const pull = (
  config: Config,
  flags: PullFlags,
  place: string,
  where: string,
  plans: readonly ((
    remote: Remote,
    signal: AbortSignal,
  ) => PullPlan | null | Promise<PullPlan | null>)[],
): Promise<void> =>
  runTask(flags, async (task) => {
    const { concurrency, attempts } = flags;
    const remote = remoteAt(place, flags, config);
    const options = { remote, concurrency, attempts, signal: task.signal };
    for (const ask of plans) {
      const plan = await ask(remote, task.signal);
      if (plan) await drawPull({ ...options, plan }, task, where);
    }
    return undefined;
  });

async function drawPull(options: PullOptions, { output }: Task, where: string): Promise<void> {
  let [files, present, fetched, bytes] = [0, 0, 0, 0];
  for await (const event of pullFiles(options))
    switch (event.type) {
      case 'listed':
        ({ files } = event);
        output.result(
          event,
          `${counted(files, 'file')}, ${bytesText(event.bytes)}, in ${options.remote.name}`,
        );
        break;
      case 'checked':
        output.progress('checking local files', event.done, event.total);
        break;
      case 'present':
        present = event.files;
        output.result(event, `${present.toLocaleString('en')} already present`);
        break;
      case 'fetched':
        fetched += 1;
        bytes += event.bytes;
        output.progress('downloading files', present + fetched, files);
        break;
      case 'failed':
        output.note(event, event.reason);
    }
  output.result(
    { type: 'pulled', files: fetched, bytes },
    `downloaded ${counted(fetched, 'file')} (${bytesText(bytes)}) to ${where}`,
  );
}
