import { readFile, stat } from 'node:fs/promises';
import * as z from 'zod';
import { clipDtypes } from '../clip/model-files.ts';
import { AppError } from '../errors.ts';
import { hashFile } from '../filesystem/files.ts';

const digest = z.object({
  bytes: z.number().int().nonnegative(),
  /** In hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** What made the embeddings. */
export const manifestModel = z.object({
  /** From `config.json`, else the folder's name. */
  name: z.string(),
  dtype: z.enum(clipDtypes),
  /** SHA-256 of every file that an image embedding depends on, by its name in the model's folder. */
  files: z.record(z.string(), z.string()),
});

const manifest = z.object({
  format: z.literal(1),
  model: manifestModel,
  /** `preprocessor_config.json`, or the model's equivalent. */
  preprocessing: z.unknown(),
  index: z.object({
    /** FAISS factory string. */
    type: z.string(),
    metric: z.literal('inner_product'),
    dimension: z.number().int().positive(),
    vectors: z.number().int().nonnegative(),
    /** The parameter of a search that the file was written with: cells visited, or the breadth of a search in a graph. */
    search: z
      .union([
        z.object({
          probes: z.number().int().positive(),
          /** For each result. */
          candidates: z.number().int().positive().optional(),
        }),
        z.object({ efSearch: z.number().int().positive() }),
      ])
      .optional(),
    /** Share of the true ten nearest that such a search found when the index was built, unless it is exact. */
    recallAt10: z.number().min(0).max(1).optional(),
  }),
  /** Ids of the albums without a vector, because their cover is missing or unreadable. */
  skipped: z.array(z.number().int()),
  /** Which part of a larger set this is. */
  shard: z.object({ number: z.number().int().min(1), of: z.number().int().min(1) }).optional(),
  files: z.record(z.string(), digest),
});

export type Manifest = z.output<typeof manifest>;
export type FileDigest = z.output<typeof digest>;
export type Shard = NonNullable<Manifest['shard']>;

/** @returns `null` if there is no such file @throws AppError `assets_inconsistent` if it is not a manifest */
export async function readManifestFile(path: string): Promise<Manifest | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return manifest.parse(JSON.parse(text));
  } catch (cause) {
    throw new AppError('assets_inconsistent', `${path} is not a manifest of this service.`, {
      cause,
    });
  }
}

/** The size and checksum of a file. */
export async function digestFile(path: string): Promise<FileDigest> {
  const sha256 = await hashFile(path, 'sha256');
  return { bytes: (await stat(path)).size, sha256 };
}

/**
 * Checks that a file is the one that the manifest describes (52 MB: about 40 ms).
 *
 * @param name the file's name in the manifest
 * @throws AppError `assets_inconsistent` if it is not
 */
export async function assertDescribed(
  manifest: Manifest | null,
  name: string,
  path: string,
): Promise<void> {
  const expected = manifest?.files[name];
  if (!expected) return;
  const same =
    (await stat(path)).size === expected.bytes &&
    (await hashFile(path, 'sha256')) === expected.sha256;
  if (!same)
    throw new AppError(
      'assets_inconsistent',
      `${path} is not the file that its manifest.json describes: they do not belong together, or are being replaced. (Without a manifest this is not checked.)`,
    );
}
