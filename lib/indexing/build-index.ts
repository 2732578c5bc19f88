import { mkdir } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { Catalog } from '../catalog/catalog.ts';
import { joinRows, splitRows } from '../catalog/metadata-rows.ts';
import { readMetadata } from '../catalog/read-metadata.ts';
import type { ClipDtype } from '../clip/model-files.ts';
import { inLockedFolder } from '../folder-lock.ts';
import { writeFeatureFile } from '../identify/feature-file.ts';
import { canIdentify } from '../identify/native.ts';
import { VectorIndex } from '../vectors/vector-index.ts';
import { assembleIndex, type AssembleEvent } from './assemble.ts';
import { batchSize } from './cover-batch.ts';
import { makeFeatures, type FeatureEvent } from './cover-features.ts';
import { embedCovers, type EmbedEvent } from './embed-covers.ts';
import { identifyModel, type Manifest, type Shard } from './manifest.ts';
import { FileSet } from './file-set.ts';

export interface BuildOptions {
  metadataPath: string;
  /** Folder of the covers, under the list's `filename` or `album_{local_id}.jpg`, whatever raster format is in it. */
  imagesDir: string;
  /** Folder of the model, in one of the layouts of `lib/clip/model-files.ts`. */
  modelDir: string;
  /** Default: the first present of fp32, fp16, q8. */
  dtype?: ClipDtype | undefined;
  /** Where `album_covers.index`, `valid_metadata_final.json` and `manifest.json` go. */
  outDir: string;
  /** FAISS factory string. Default: `Flat`. */
  type?: string | undefined;
  /** Cells of an inverted file (IVF) that a search looks into. Default: a sixteenth of them. */
  probes?: number | undefined;
  /** Whether the features of the covers are written too, by which albums are recognised in photos. Default: true. */
  features?: boolean | undefined;
  /** Only this part of the albums, as a flat index to be merged with the others. */
  shard?: Shard | undefined;
  /** Go on where an earlier run ended. */
  resume?: boolean;
  /** Throw away what an earlier run left. */
  restart?: boolean;
  /** Put up with most of the covers' not being there. */
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
 * Embeds the cover of every album, and writes index, metadata, features and manifest. Whatever ends it before that, the
 * set that was there before stays; what has been embedded is kept for `resume`, and the result is the same
 * to the last bit as that of a run that nothing disturbed.
 *
 * @throws AppError `assets_missing` (covers among it), `model_unreadable`, `catalog_unreadable`, `busy` where another
 *   process is at work in the folder, or `assets_inconsistent` where what there is to go on with was begun otherwise, or is
 *   there and neither `resume` nor `restart` is said; the file system's error, e.g. ENOSPC
 */
export async function* buildIndex(options: BuildOptions): AsyncGenerator<BuildEvent> {
  await mkdir(options.outDir, { recursive: true });
  yield* inLockedFolder(options.outDir, () => build(options));
}

async function* build(options: BuildOptions): AsyncGenerator<BuildEvent> {
  const { metadataPath, imagesDir, modelDir, outDir, shard, resume = false, signal } = options;
  const { restart = false, allowMissing } = options;
  const type = shard ? 'Flat' : (options.type ?? 'Flat');
  const catalog = await Catalog.open(metadataPath);
  const text = (await readMetadata(metadataPath)).text;
  const identity = await identifyModel(modelDir, options.dtype);
  const { from, to } = rangeOf(catalog.size, shard);
  const albums = catalog.albums().slice(from, to);
  const journal = yield* embedCovers({
    ...{ albums, imagesDir, modelDir, outDir, resume, restart, allowMissing, signal },
    dtype: identity.model.dtype,
    plan: {
      metadata: createHash('sha256').update(text).digest('hex'),
      model: identity.model,
      range: [from, to],
    },
    // A type that FAISS does not know is told before an hour of embedding.
    check: (dimension) => VectorIndex.create({ dimension, metric: 'inner_product', type }),
  });
  try {
    const gone = new Set(journal.skipped.map(({ position }) => position));
    const isThere = (_: unknown, position: number) => !gone.has(position);
    const rows = splitRows(text).slice(from, to).filter(isThere);
    const set = await FileSet.begin(outDir);
    try {
      const index = yield* assembleIndex(set.indexPath, {
        vectors: () => journal.vectors(),
        dimension: journal.dimension,
        size: rows.length,
        type,
        probes: options.probes,
        signal,
      });
      await set.writeMetadata(joinRows(rows));
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
 * Which rows a part has. Parts begin at whole batches: a quantised model's embeddings depend a little on
 * what else is in the batch, and the parts put together are to be what one run makes.
 */
function rangeOf(size: number, shard: Shard | undefined): { from: number; to: number } {
  if (!shard) return { from: 0, to: size };
  const batches = Math.ceil(size / batchSize);
  const at = (part: number) => Math.min(size, Math.floor((batches * part) / shard.of) * batchSize);
  return { from: at(shard.number - 1), to: at(shard.number) };
}
