import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Catalog } from '../catalog/catalog.ts';
import type { ImageEncoder } from '../clip/image-encoder.ts';
import { VectorIndex } from '../vectors/vector-index.ts';

export interface BuildOptions {
  catalog: Catalog;
  /** Folder of `album_{local_id}.jpg`. */
  imagesDir: string;
  encoder: ImageEncoder;
  /** Where the index goes; it is written beside and renamed. */
  indexPath: string;
}

export interface BuildEvent {
  type: 'embedded';
  done: number;
  total: number;
}

/** Covers decoded together and then embedded together; more gain no time (bench/encode.ts). */
const batchSize = 8;

/**
 * Embeds the cover of every album and writes a flat inner-product index of them, row for row in the order
 * of the catalog. Covers are decoded while the batch before them is in the model.
 *
 * @throws the encoder's error for a cover that is missing or unreadable; nothing is written then
 */
export async function* buildIndex(options: BuildOptions): AsyncGenerator<BuildEvent> {
  const { catalog, imagesDir, encoder, indexPath } = options;
  const index = await VectorIndex.create({ dimension: encoder.dimension, metric: 'inner_product' });
  const decode = (from: number) =>
    Promise.all(
      Array.from({ length: Math.min(batchSize, catalog.size - from) }, async (_, i) => {
        const { id } = catalog.atRow(from + i);
        return encoder.preprocess(await readFile(join(imagesDir, `album_${String(id)}.jpg`)));
      }),
    );
  let next = decode(0);
  for (let from = 0; from < catalog.size; from += batchSize) {
    const tensors = await next;
    if (from + batchSize < catalog.size) {
      next = decode(from + batchSize);
      next.catch(() => undefined); // awaited, and thrown, in the next round
    }
    for (const embedding of await encoder.embedBatch(tensors)) index.add(embedding);
    yield { type: 'embedded', done: from + tensors.length, total: catalog.size };
  }
  await index.write(indexPath);
}
