import { mkdir } from 'node:fs/promises';
import { Catalog } from '../../lib/catalog/catalog.ts';
import type { ClipDtype } from '../../lib/clip/model-files.ts';
import { inLockedFolder } from '../folder-lock.ts';
import { writeFeatureFile } from './write-features.ts';
import { canIdentify } from '../../lib/identify/native.ts';
import { VectorIndex } from '../../lib/vectors/vector-index.ts';
import { assembleIndex, type AssembleEvent } from './assemble.ts';
import { makeFeatures, type FeatureEvent } from './cover-features.ts';
import { coverOwners } from './cover-owners.ts';
import { batchSize, embedCovers, type EmbedEvent } from './embed-covers.ts';
import type { Manifest, Shard } from '../../lib/assets/manifest.ts';
import { FileSet } from './file-set.ts';
import { identifyModel } from './identify-model.ts';
import { hashRows, readRows } from './metadata-file.ts';

export interface BuildOptions {
  metadataPath: string;
  /** Folder of the covers, named by the metadata's `filename` or `album_{local_id}.jpg`, in any raster format. */
  imagesDir: string;
  /** Folder of the model, in one of the layouts of `lib/clip/model-files.ts`. */
  modelDir: string;
  /** Default: the first present of fp32, fp16, q8. */
  dtype?: ClipDtype | undefined;
  /** Where `album_covers.index`, `valid_metadata_final.json` and `manifest.json` go. */
  outDir: string;
  /** FAISS factory string, or `auto` (the default): by the number of vectors. */
  type?: string | undefined;
  /** Cells of an inverted file (IVF) that a search visits. Default: as many as recall requires. */
  probes?: number | undefined;
  /** Whether to write the features of the covers, by which albums are recognised in photos. Default: true. */
  features?: boolean | undefined;
  /** Build only this part of the albums, as a flat index to be merged with the other parts. */
  shard?: Shard | undefined;
  /** Resume an interrupted run. */
  resume?: boolean;
  /** Discard an interrupted run. */
  restart?: boolean;
  /** Continue even if most covers are missing. */
  allowMissing?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export type BuildEvent =
  | EmbedEvent
  | AssembleEvent
  | FeatureEvent
  | { type: 'no_features' }
  | { type: 'written'; outDir: string; manifest: Manifest };

/**
 * Embeds the cover of every album, and writes index, metadata, features and manifest: a cover is read, decoded, embedded
 * and journalled in `embed-covers.ts`, and the journal becomes an index in `assemble.ts`. If the run is interrupted, the
 * old set stays, the embeddings so far are kept for `resume`, and the resumed run's result is identical bit for bit.
 *
 * @throws AppError `assets_missing` (also of covers), `model_unreadable`, `catalog_unreadable`; `busy` if another process
 *   is working in the folder; `assets_inconsistent` if the interrupted run had other settings, or there is one and neither
 *   `resume` nor `restart` is set; the file system's error, e.g. ENOSPC
 */
export async function* buildIndex(options: BuildOptions): AsyncGenerator<BuildEvent> {
  await mkdir(options.outDir, { recursive: true });
  yield* inLockedFolder(options.outDir, () => build(options));
}

async function* build(options: BuildOptions): AsyncGenerator<BuildEvent> {
  const { metadataPath, imagesDir, modelDir, outDir, shard, resume = false, signal } = options;
  const { restart = false, allowMissing } = options;
  const type = shard ? 'Flat' : (options.type ?? 'auto');
  const catalog = await Catalog.open(metadataPath);
  const identity = await identifyModel(modelDir, options.dtype);
  const { from, to } = rangeOf(catalog.size, shard);
  const albums = coverOwners(catalog, from, to);
  const journal = yield* embedCovers({
    ...{ albums, imagesDir, modelDir, outDir, resume, restart, allowMissing, signal },
    dtype: identity.model.dtype,
    plan: {
      metadata: await hashRows(metadataPath),
      model: identity.model,
      range: [from, to],
    },
    // An index type that FAISS does not know is reported before an hour of embedding.
    check: (dimension) =>
      VectorIndex.create({
        dimension,
        metric: 'inner_product',
        type: type === 'auto' ? 'Flat' : type,
      }),
  });
  try {
    const gone = new Set(journal.skipped.map(({ position }) => position));
    const isThere = (_: unknown, position: number) => !gone.has(position);
    const set = await FileSet.begin(outDir);
    try {
      const index = yield* assembleIndex(set.indexPath, {
        vectors: () => journal.vectors(),
        dimension: journal.dimension,
        size: albums.length - gone.size,
        type,
        probes: options.probes,
        signal,
      });
      const isKept = (row: number) => row >= from && row < to && !gone.has(row - from);
      await set.writeMetadata(readRows(metadataPath, isKept));
      if (options.features !== false && canIdentify()) {
        const covers = yield* makeFeatures(albums.filter(isThere), imagesDir, signal);
        await writeFeatureFile(set.featuresPath, covers);
      } else if (options.features !== false) yield { type: 'no_features' };
      const skipped = journal.skipped.map(({ albumId }) => albumId);
      const manifest = await set.finish({ ...identity, index, skipped, ...(shard && { shard }) });
      await journal.remove();
      yield { type: 'written', outDir, manifest };
    } catch (error) {
      await set.abandon();
      throw error;
    }
  } finally {
    await journal.close().catch(() => undefined); // it may have been removed
  }
}

/**
 * The rows of a part. Parts begin at whole batches: a quantised model's embeddings depend slightly on the rest of the
 * batch, and the merged parts must equal one run's result.
 */
function rangeOf(size: number, shard: Shard | undefined): { from: number; to: number } {
  if (!shard) return { from: 0, to: size };
  const batches = Math.ceil(size / batchSize);
  const at = (part: number) => Math.min(size, Math.floor((batches * part) / shard.of) * batchSize);
  return { from: at(shard.number - 1), to: at(shard.number) };
}
