import { stat } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { indexName, metadataName } from '../storage/assets.ts';
import type { VectorIndex } from '../vectors/vector-index.ts';
import { digestFile, readManifestFile } from './manifest.ts';

/** How far a vector's length may be from 1: float32 and a quantised index's error lie below. */
export const normTolerance = 0.01;

/** Vectors whose length is looked at, spread over the index. */
const sampleSize = 1000;

export interface QuickFindings {
  /** `none`: there is no manifest to compare with. */
  manifest: 'fits' | 'none';
  /** Vectors of the sample whose length is not 1. */
  oddNorms: number;
  sample: number;
}

/**
 * What can be told of a set in a tenth of a second: whether the files are those of the manifest, and whether
 * the vectors are embeddings.
 *
 * @throws AppError `assets_inconsistent` where the manifest is of other files, naming the first
 */
export async function quickCheck(set: {
  index: VectorIndex;
  indexPath: string;
  metadataPath: string;
  /** `null`: there is none. */
  manifestPath: string | null;
}): Promise<QuickFindings> {
  const { index, indexPath, metadataPath, manifestPath } = set;
  const manifest = manifestPath === null ? null : await readManifestFile(manifestPath);
  for (const [name, path] of [
    [indexName, indexPath],
    [metadataName, metadataPath],
  ] as const) {
    const expected = manifest?.files[name];
    if (!expected) continue;
    const same =
      (await stat(path)).size === expected.bytes &&
      (await digestFile(path)).sha256 === expected.sha256;
    if (!same)
      throw new AppError(
        'assets_inconsistent',
        `${path} is not the file that ${String(manifestPath)} describes: they were not made together, or are being replaced. (Without the manifest this is not checked.)`,
      );
  }
  const sample = index.givesVectors ? Math.min(sampleSize, index.size) : 0;
  let oddNorms = 0;
  for (let i = 0; i < sample; i += 1)
    if (isOdd(index.vectorOf(Math.floor((i * index.size) / sample)))) oddNorms += 1;
  return { manifest: manifest ? 'fits' : 'none', oddNorms, sample };
}

/** Whether a vector is no embedding: its length is not 1, or it holds what is no number. */
export const isOdd = (vector: Float32Array): boolean => {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return !(Math.abs(length - 1) <= normTolerance);
};
