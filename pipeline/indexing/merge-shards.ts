import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../lib/errors.ts';
import { inLockedFolder } from '../folder-lock.ts';
import type { CoverFeatures } from '../../lib/identify/feature-file.ts';
import { writeFeatureFile } from './write-features.ts';
import { FeatureIndex } from '../../lib/identify/feature-index.ts';
import { featuresName, indexName, metadataName } from '../../lib/assets/assets.ts';
import { readFlatIndex } from './flat-file.ts';
import { assembleIndex, type AssembleEvent } from './assemble.ts';
import { FileSet, readManifest } from './file-set.ts';
import { concatRows, readRows } from './metadata-file.ts';
import type { Manifest } from '../../lib/assets/manifest.ts';

export interface MergeOptions {
  /** Folders of the parts, in any order. */
  parts: readonly string[];
  outDir: string;
  /** FAISS factory string. Default: `Flat`. */
  type?: string | undefined;
  probes?: number | undefined;
}

export type MergeEvent = AssembleEvent | { type: 'written'; outDir: string; manifest: Manifest };

/**
 * Merges the parts of a build. The result equals that of one run over all albums, bit for bit.
 *
 * @throws AppError `assets_missing` if a part is missing or has no manifest, `assets_inconsistent` if two parts do not
 *   belong together; the file system's error, e.g. ENOSPC
 */
export async function* mergeShards(options: MergeOptions): AsyncGenerator<MergeEvent> {
  await mkdir(options.outDir, { recursive: true });
  yield* inLockedFolder(options.outDir, () => merge(options));
}

async function* merge(options: MergeOptions): AsyncGenerator<MergeEvent> {
  const { outDir, type = 'auto', probes } = options;
  const parts = await inOrder(options.parts);
  const [first] = parts;
  if (!first) throw new AppError('assets_missing', 'Expected the folders of the parts to merge.');
  const size = parts.reduce((sum, { manifest }) => sum + manifest.index.vectors, 0);
  if (size === 0)
    throw new AppError('assets_missing', 'The parts contain no albums, so nothing is written.');
  const set = await FileSet.begin(outDir);
  try {
    const index = yield* assembleIndex(set.indexPath, {
      vectors: () => vectorsOf(parts),
      dimension: first.manifest.index.dimension,
      size,
      type,
      probes,
    });
    await set.writeMetadata(
      concatRows(...parts.map(({ dir }) => readRows(join(dir, metadataName)))),
    );
    if (parts.every(({ manifest }) => manifest.files[featuresName]))
      await writeFeatureFile(set.featuresPath, featuresOf(parts));
    const { model, preprocessing } = first.manifest;
    const skipped = parts.flatMap(({ manifest }) => manifest.skipped);
    const manifest = await set.finish({ model, preprocessing, index, skipped });
    yield { type: 'written', outDir, manifest };
  } catch (error) {
    await set.abandon();
    throw error;
  }
}

interface Part {
  dir: string;
  manifest: Manifest;
}

async function* vectorsOf(parts: readonly Part[]): AsyncGenerator<Float32Array> {
  for (const { dir } of parts) yield* readFlatIndex(join(dir, indexName));
}

/** Without each part's own list assignments, as in a fresh build. */
async function* featuresOf(parts: readonly Part[]): AsyncGenerator<CoverFeatures> {
  for (const { dir } of parts) {
    const index = await FeatureIndex.open(join(dir, featuresName));
    try {
      for await (const { width, height, codes, places } of index.covers())
        yield { width, height, codes, places };
    } finally {
      index.close();
    }
  }
}

/** The parts in order, checked to be complete and of the same build. */
async function inOrder(dirs: readonly string[]): Promise<Part[]> {
  const parts: Part[] = [];
  for (const dir of dirs) {
    const manifest = await readManifest(dir);
    if (!manifest?.shard)
      throw new AppError('assets_missing', `${dir} is not a part written by index build --shard.`);
    parts.push({ dir, manifest });
  }
  parts.sort((a, b) => (a.manifest.shard?.number ?? 0) - (b.manifest.shard?.number ?? 0));
  const [first] = parts;
  const of = first?.manifest.shard?.of ?? 0;
  for (const { dir, manifest } of parts) {
    if (manifest.shard?.of !== of)
      throw new AppError(
        'assets_inconsistent',
        `${dir} is one of ${String(manifest.shard?.of)} parts and ${String(first?.dir)} one of ${String(of)}.`,
      );
    if (JSON.stringify(manifest.model) !== JSON.stringify(first?.manifest.model))
      throw new AppError(
        'assets_inconsistent',
        `${dir} was made with another model or dtype than ${String(first?.dir)}.`,
      );
  }
  for (let number = 1; number <= of; number += 1) {
    const found = parts.filter(({ manifest }) => manifest.shard?.number === number);
    if (found.length === 1) continue;
    throw new AppError(
      'assets_missing',
      found.length === 0
        ? `Part ${String(number)} of ${String(of)} is missing.`
        : `Part ${String(number)} of ${String(of)} is given twice: ${found.map(({ dir }) => dir).join(', ')}.`,
    );
  }
  return parts;
}
