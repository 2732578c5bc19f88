import { join } from 'node:path';
import { indexName, manifestName, metadataName } from '../../lib/assets/assets.ts';
import { readManifestFile, type Manifest } from '../../lib/assets/manifest.ts';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { AppError } from '../../lib/errors.ts';
import { readFaissHeader } from '../../lib/vectors/file-header.ts';
import { openEmbeddings } from '../../lib/vectors/open-embeddings.ts';
import { readFlatIndex } from '../indexing/flat-file.ts';

/** A set of files, whose vectors are read a block at a time. */
export interface OpenSet {
  catalog: Catalog;
  manifest: Manifest | null;
  dimension: number;
  /** The embeddings from a row on, in blocks of n × dimension floats, L2-normalised. */
  vectors: (from: number) => AsyncGenerator<Float32Array>;
  close: () => void;
}

/**
 * Opens a set for reading from start to end. A flat index is read from its file; one of another type is loaded, and its
 * vectors are decoded.
 *
 * @throws AppError as `Catalog.open` and `openEmbeddings`
 */
export async function openSet(dir: string): Promise<OpenSet> {
  const indexPath = join(dir, indexName);
  const catalog = await Catalog.open(join(dir, metadataName));
  const manifest = await readManifestFile(join(dir, manifestName));
  const header = await readFaissHeader(indexPath).catch(() => null);
  if (header?.fourcc === 'IxFI' && header.size === catalog.size) {
    const { dimension } = header;
    return {
      ...{ catalog, manifest, dimension },
      vectors: (from) => flatVectors(indexPath, dimension, from),
      close: () => undefined,
    };
  }
  const { index } = await openEmbeddings(indexPath, catalog.ids());
  return {
    ...{ catalog, manifest, dimension: index.dimension },
    // eslint-disable-next-line @typescript-eslint/require-await -- read like the vectors of a file
    vectors: async function* (from) {
      for (let row = from; row < index.size; row += 1) yield normalised(index.vectorOf(row));
    },
    close: () => {
      index.dispose();
    },
  };
}

async function* flatVectors(
  path: string,
  dimension: number,
  from: number,
): AsyncGenerator<Float32Array> {
  let row = 0;
  for await (const block of readFlatIndex(path)) {
    const count = block.length / dimension;
    const skipped = Math.min(count, Math.max(0, from - row));
    row += count;
    for (let at = skipped; at < count; at += 1) {
      const vector = normalised(block.subarray(at * dimension, (at + 1) * dimension));
      if (!vector.every(Number.isFinite))
        throw new AppError(
          'index_unreadable',
          `${path} has a vector without a direction, in row ${String(row - count + at)}.`,
        );
    }
    if (skipped < count) yield block.subarray(skipped * dimension);
  }
}

/** Scales a vector to length 1, in place. */
function normalised(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  if (Math.abs(length - 1) > 1e-6)
    for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] ?? 0) / length;
  return vector;
}
