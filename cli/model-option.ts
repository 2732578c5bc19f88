import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { clipDtypes, type ClipDtype } from '../lib/clip/model-files.ts';
import type { Config } from '../lib/config/config.ts';
import type { Output } from './output.ts';

export interface ModelOptions {
  model?: string;
  dtype?: ClipDtype;
}

/** Adds the options that select the model. */
export const withModel = (command: Command): Command =>
  command
    .option(
      '--model <dir>',
      'folder of the CLIP model (default: clip in MODELS_DIR, else the starter set)',
    )
    .addOption(
      new Option(
        '--dtype <dtype>',
        'precision of the model (default: the first one present)',
      ).choices(clipDtypes),
    );

/** The model's folder: the one given, else the user's, else the starter set's, with a note. */
export async function modelFolder(
  { model }: ModelOptions,
  { assets }: Config,
  output: Output,
): Promise<string> {
  if (model !== undefined) return model;
  const own = join(assets.modelsDir, 'clip');
  if (await stat(join(own, 'config.json')).catch(() => null)) return own;
  output.note(
    { type: 'starter_model', dir: assets.starterDir },
    `There is no model in ${own}: using the starter set's, which only understands made-up covers.`,
  );
  return assets.starterDir;
}
