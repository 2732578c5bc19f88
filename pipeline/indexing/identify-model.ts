import { basename, dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { digestFile, type Manifest } from '../../lib/assets/manifest.ts';
import { externalDataOf } from '../../lib/clip/external-data.ts';
import { readModelConfig, readModelJson } from '../../lib/clip/model-config.ts';
import { findTower, type ClipDtype } from '../../lib/clip/model-files.ts';

/**
 * Identifies a model's image tower: name, dtype, checksums, pre-processing.
 *
 * @throws AppError `assets_missing` or `model_unreadable`
 */
export async function identifyModel(
  modelDir: string,
  dtype?: ClipDtype,
): Promise<Pick<Manifest, 'model' | 'preprocessing'>> {
  const { path, graph, config, side, ...tower } = await findTower(modelDir, 'vision', dtype);
  const json = await readModelConfig(modelDir, config, () => z.record(z.string(), z.unknown()));
  const names = [json['_name_or_path'], json['model_type']];
  const name = names.find((one) => typeof one === 'string' && one !== '') as string | undefined;
  const weights = await externalDataOf(path);
  const files: Record<string, string> = {};
  for (const file of [...side, graph, ...weights.map((one) => join(dirname(graph), one))])
    files[file] = (await digestFile(join(modelDir, file))).sha256;
  return {
    model: { name: name ?? basename(resolve(modelDir)), dtype: tower.dtype, files },
    preprocessing: await readModelJson(modelDir, side[0]),
  };
}
