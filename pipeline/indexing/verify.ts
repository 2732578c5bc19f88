import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { createImageEncoder } from '../../lib/clip/image-encoder.ts';
import type { ClipDtype } from '../../lib/clip/model-files.ts';
import { isAppError } from '../../lib/errors.ts';
import { FeatureIndex } from '../../lib/identify/feature-index.ts';
import { fewestFeatures } from '../../lib/identify/features.ts';
import { canIdentify } from '../../lib/identify/native.ts';
import { shrinkCover } from '../../lib/imaging/raster.ts';
import { featuresName, indexName, manifestName, metadataName } from '../../lib/assets/assets.ts';
import { coverFileIn } from '../../lib/assets/covers.ts';
import { findOddRows, prepareEmbeddings } from '../../lib/vectors/open-embeddings.ts';
import { VectorIndex } from '../../lib/vectors/vector-index.ts';
import { digestFile, type Manifest } from '../../lib/assets/manifest.ts';
import { readManifest } from './file-set.ts';
import { identifyModel } from './identify-model.ts';
import { nearDuplicates } from './near-duplicates.ts';

export type Level = 'ok' | 'note' | 'warning' | 'error';

/** What one check found. */
export interface Finding {
  type: 'finding';
  check: string;
  level: Level;
  /** One line for people. */
  message: string;
  /** The same for programs: ids and figures. */
  details?: Record<string, unknown>;
}

export type VerifyEvent =
  Finding | { type: 'progress'; check: string; done: number; total: number };

export interface VerifyOptions {
  /** Folder of `album_covers.index`, `valid_metadata_final.json` and optionally `manifest.json`. */
  dir: string;
  /** Folder of the covers; without it covers are not checked. */
  imagesDir?: string | undefined;
  /** Folder of the model; without it drift is not checked. */
  modelDir?: string | undefined;
  /** Default: the manifest's, else the first present of fp32, fp16, q8. */
  dtype?: ClipDtype | undefined;
  /** Number of covers to embed again. */
  driftSample: number;
  /** Similarity from which two covers count as nearly identical. */
  duplicateSimilarity: number;
}

/**
 * Checks a set of files for everything that can be wrong with it. Stops early if the index or the metadata cannot be
 * read.
 */
export async function* verifyFiles(options: VerifyOptions): AsyncGenerator<VerifyEvent> {
  const { dir, imagesDir, modelDir } = options;
  const indexPath = join(dir, indexName);
  const index = await attempt('index', () => VectorIndex.open(indexPath));
  const catalog = await attempt('metadata', () => Catalog.open(join(dir, metadataName)));
  for (const opened of [index, catalog]) if (opened.failure) yield opened.failure;
  const manifest = await attempt('manifest', () => readManifest(dir));
  if (manifest.failure) yield manifest.failure;
  else yield* checkManifest(dir, manifest.value ?? null);
  if (index.value && catalog.value) yield* checkCounts(index.value, catalog.value);
  if (catalog.value) yield* checkRows(catalog.value);
  if (index.value?.givesVectors) yield* checkVectors(index.value);
  const set = together(index.value, catalog.value, manifest.value ?? null);
  if (!set) return;
  // the same checks as the service's when it loads them
  const prepared = await attempt('index', () =>
    prepareEmbeddings(set.index, indexPath, set.catalog.ids()),
  );
  if (prepared.failure) yield prepared.failure;
  for (const warning of prepared.value ?? []) yield finding('index', 'warning', warning);
  yield* checkFeatures(dir, set.catalog);
  if (!prepared.value) return;
  if (imagesDir !== undefined) yield* checkCovers(set.catalog, imagesDir);
  yield* checkDuplicates(set, options.duplicateSimilarity);
  if (imagesDir !== undefined && modelDir !== undefined)
    yield* checkDrift(set, {
      imagesDir,
      modelDir,
      dtype: options.dtype,
      sample: options.driftSample,
    });
}

interface FileSetInMemory {
  index: VectorIndex;
  catalog: Catalog;
  manifest: Manifest | null;
}

/** Index and metadata, if both exist and have the same length: the other checks need that. */
const together = (
  index: VectorIndex | undefined,
  catalog: Catalog | undefined,
  manifest: Manifest | null,
): FileSetInMemory | null => {
  if (!index || !catalog) return null;
  return index.size === catalog.size ? { index, catalog, manifest } : null;
};

const finding = (
  check: string,
  level: Level,
  message: string,
  details?: Record<string, unknown>,
): Finding => ({ type: 'finding', check, level, message, ...(details && { details }) });

const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

/** The first items of a list, for a message. */
const some = (list: readonly (string | number)[], most = 5): string =>
  list.slice(0, most).join(', ') + (list.length > most ? ', …' : '');

/** Turns an unreadable file into a finding. */
async function attempt<T>(
  check: string,
  read: () => Promise<T>,
): Promise<{ value?: T; failure?: Finding }> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!isAppError(error)) throw error;
    return { failure: finding(check, 'error', error.detail, { code: error.code }) };
  }
}

async function* checkManifest(dir: string, manifest: Manifest | null): AsyncGenerator<VerifyEvent> {
  if (!manifest) {
    yield finding(
      'manifest',
      'note',
      `there is no ${manifestName}, so it is unknown how the index was built`,
    );
    return;
  }
  const wrong: string[] = [];
  for (const [name, expected] of Object.entries(manifest.files)) {
    const found = await digestFile(join(dir, name)).catch(() => null);
    if (found?.sha256 !== expected.sha256) wrong.push(name);
  }
  const { model, index } = manifest;
  yield wrong.length > 0
    ? finding('manifest', 'error', `${wrong.join(' and ')} differ from what ${manifestName} says`, {
        files: wrong,
      })
    : finding(
        'manifest',
        'ok',
        `fits: ${index.type}, ${plural(index.vectors, 'vector')}, made with ${model.name} (${model.dtype})`,
      );
  if (manifest.skipped.length > 0)
    yield finding(
      'skipped',
      'note',
      `${plural(manifest.skipped.length, 'album')} had no readable cover and have no vector: ${some(manifest.skipped)}`,
      { album_ids: manifest.skipped },
    );
}

function* checkCounts(index: VectorIndex, catalog: Catalog): Generator<VerifyEvent> {
  yield index.size === catalog.size
    ? finding(
        'counts',
        'ok',
        `${plural(index.size, 'vector')} of ${String(index.dimension)} dimensions (${index.type}), as many albums`,
      )
    : finding(
        'counts',
        'error',
        `the index holds ${plural(index.size, 'vector')} but the metadata lists ${plural(catalog.size, 'album')}`,
        { vectors: index.size, albums: catalog.size },
      );
}

async function* checkVectors(index: VectorIndex): AsyncGenerator<VerifyEvent> {
  const { none, other } = await findOddRows(index);
  const odd = [...none, ...other].sort((a, b) => a - b);
  const length = index.exact ? 'length 1' : 'a length near 1';
  yield odd.length === 0
    ? finding('norms', 'ok', `every vector has ${length}`)
    : finding(
        'norms',
        'error',
        `${plural(odd.length, 'vector')} ${odd.length === 1 ? 'is' : 'are'} not of ${length} (${String(none.length)} with NaN or all zero), in the rows ${some(odd)}`,
        { rows: odd, with_nan: none.length },
      );
}

async function* checkFeatures(dir: string, catalog: Catalog): AsyncGenerator<VerifyEvent> {
  const path = join(dir, featuresName);
  if (!(await stat(path).catch(() => null))) {
    yield finding(
      'features',
      'note',
      `there is no ${featuresName}: albums are not recognised in photos (index features creates it)`,
    );
    return;
  }
  if (!canIdentify()) {
    yield finding('features', 'note', `${featuresName} can't be read here: the addon is not built`);
    return;
  }
  const { value: index, failure } = await attempt('features', () => FeatureIndex.open(path));
  if (failure) yield failure;
  if (!index) return;
  const plain = [...catalog.ids()].filter(
    (_, row) => row < index.size && !index.isIdentifiable(row),
  );
  const { size } = index;
  index.close();
  if (size !== catalog.size)
    yield finding(
      'features',
      'error',
      `${featuresName} has the features of ${plural(size, 'cover')} but the metadata lists ${plural(catalog.size, 'album')}: create it again with index features`,
      { covers: size, albums: catalog.size },
    );
  else
    yield plain.length === 0
      ? finding('features', 'ok', 'every cover can be recognised in a photo')
      : finding(
          'features',
          'note',
          `${plural(plain.length, 'cover')} can't be recognised in a photo, since ${plain.length === 1 ? 'it has' : 'they have'} fewer than ${String(fewestFeatures)} features: ${some(plain)}`,
          { album_ids: plain },
        );
}

function* checkRows(catalog: Catalog): Generator<VerifyEvent> {
  const ids = catalog.ids();
  const last = ids.reduce((most, id) => Math.max(most, id), 0);
  const first = ids.reduce((least, id) => Math.min(least, id), last);
  const moved = ids.filter((id, row) => id !== row).length;
  const ascending = ids.every((id, row) => row === 0 || id > (ids[row - 1] ?? -1));
  yield finding(
    'ids',
    ascending ? 'ok' : 'warning',
    `ids run from ${String(first)} to ${String(last)} with ${plural(last + 1 - ids.length, 'gap')}, none twice; ${plural(moved, 'album')} ${moved === 1 ? 'has' : 'have'} an id that is not the row` +
      (ascending ? '' : '; they do not ascend'),
    { last, gaps: last + 1 - ids.length, moved },
  );
  for (const issue of catalog.issues) yield finding('columns', 'warning', issue);
  const { dirtyRows, dataIssues } = catalog;
  yield dirtyRows === 0
    ? finding('rows', 'ok', 'no dirty rows')
    : finding(
        'rows',
        'note',
        `${plural(dirtyRows, 'dirty row')}, tolerated: ${[...dataIssues].map(([what, count]) => `${what.replaceAll('_', ' ')} ${String(count)}`).join(', ')}`,
        Object.fromEntries(dataIssues),
      );
}

/** Covers decoded at a time: libuv's default number of threads. */
const coversAtATime = 4;

async function* checkCovers(catalog: Catalog, imagesDir: string): AsyncGenerator<VerifyEvent> {
  const missing: number[] = [];
  const unreadable: number[] = [];
  const look = async (row: number) => {
    const album = catalog.atRow(row);
    const { id } = album;
    const file = await coverFileIn(imagesDir, album);
    const bytes = file && (await readFile(join(imagesDir, file)).catch(() => null));
    if (!bytes) missing.push(id);
    else
      // the whole picture is decoded: a truncated one has a sound header
      await shrinkCover(bytes, 16, 'jpeg').catch((error: unknown) => {
        if (!isAppError(error)) throw error;
        unreadable.push(id);
      });
  };
  for (let from = 0; from < catalog.size; from += coversAtATime) {
    const rows = Array.from(
      { length: Math.min(coversAtATime, catalog.size - from) },
      (_, i) => from + i,
    );
    await Promise.all(rows.map(look));
    yield { type: 'progress', check: 'covers', done: from + rows.length, total: catalog.size };
  }
  if (missing.length + unreadable.length === 0)
    yield finding('covers', 'ok', `${plural(catalog.size, 'cover')}, all present and readable`);
  if (missing.length > 0)
    yield finding(
      'covers',
      'warning',
      `${plural(missing.length, 'cover')} missing: ${some(missing)}`,
      {
        missing,
      },
    );
  if (unreadable.length > 0)
    yield finding(
      'covers',
      'warning',
      `${plural(unreadable.length, 'cover')} can't be read: ${some(unreadable)}`,
      { unreadable },
    );
}

async function* checkDuplicates(
  { index, catalog }: FileSetInMemory,
  similarity: number,
): AsyncGenerator<VerifyEvent> {
  const search = nearDuplicates(index, similarity);
  let step = await search.next();
  for (; step.done !== true; step = await search.next())
    yield { type: 'progress', check: 'duplicates', ...step.value };
  const groups = step.value.map((rows) => rows.map((row) => catalog.atRow(row).id));
  const albums = groups.reduce((sum, group) => sum + group.length, 0);
  yield groups.length === 0
    ? finding(
        'duplicates',
        'ok',
        `no two covers are nearly the same (similarity ${String(similarity)})`,
      )
    : finding(
        'duplicates',
        'note',
        `${plural(albums, 'album')} in ${plural(groups.length, 'group')} share a cover, or nearly (similarity ${String(similarity)}): ${some(
          groups.map((group) => `[${some(group)}]`),
          3,
        )}`,
        { groups },
      );
}

/**
 * Thresholds for the median similarity of stored and new embeddings. The same model, dtype and pre-processing give
 * 1.0000 (q8, whose batches share a scale: 0.9999), q8 against fp32 0.98 to 0.999, another resampling filter 0.99 to
 * 0.999, another model values near 0.
 */
const sameFrom = 0.9995;
const relatedFrom = 0.9;
/** With lossy codes (such as PQ of 8 bytes) the same model gives 0.5 and more. */
const codedFrom = 0.5;

async function* checkDrift(
  { index, catalog, manifest }: FileSetInMemory,
  options: {
    imagesDir: string;
    modelDir: string;
    dtype: ClipDtype | undefined;
    sample: number;
  },
): AsyncGenerator<VerifyEvent> {
  const { imagesDir, modelDir } = options;
  const dtype = options.dtype ?? manifest?.model.dtype;
  const opened = await attempt('drift', async () => ({
    identity: await identifyModel(modelDir, dtype),
    encoder: await createImageEncoder({ modelDir, dtype }),
  }));
  if (!opened.value) {
    if (opened.failure) yield opened.failure;
    return;
  }
  const { identity, encoder } = opened.value;
  try {
    if (encoder.dimension !== index.dimension) {
      yield finding(
        'drift',
        'error',
        `the model gives ${String(encoder.dimension)} dimensions, the index has ${String(index.dimension)}`,
      );
      return;
    }
    const similarities: number[] = [];
    const sample = Math.min(options.sample, catalog.size);
    for (let i = 0; i < sample; i += 1) {
      const row = Math.floor(((i + 0.5) * catalog.size) / sample);
      const file = await coverFileIn(imagesDir, catalog.atRow(row));
      const cover = file && (await readFile(join(imagesDir, file)).catch(() => null));
      const embedding =
        cover &&
        (await encoder.encode(cover).catch((error: unknown) => {
          if (isAppError(error)) return null; // reported by the check of covers
          throw error;
        }));
      if (embedding) similarities.push(cosine(embedding, index.vectorOf(row)));
      yield { type: 'progress', check: 'drift', done: i + 1, total: sample };
    }
    yield judgeDrift(similarities, { exact: index.exact, manifest, model: identity.model });
  } finally {
    await encoder.dispose();
  }
}

/** @param unit a vector of length 1 */
const cosine = (unit: Float32Array, other: Float32Array): number => {
  let [product, squares] = [0, 0];
  for (const [i, value] of other.entries()) {
    product += value * (unit[i] ?? NaN);
    squares += value * value;
  }
  return product / Math.sqrt(squares);
};

function judgeDrift(
  similarities: number[],
  {
    exact,
    manifest,
    model,
  }: { exact: boolean; manifest: Manifest | null; model: Manifest['model'] },
): Finding {
  if (similarities.length === 0)
    return finding('drift', 'warning', 'no cover of the sample could be embedded again');
  const sorted = [...similarities].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? NaN;
  const figures = { median, least: sorted[0], sample: sorted.length, dtype: model.dtype };
  const said = `${plural(sorted.length, 'cover')} embedded again with ${model.name} (${model.dtype}): similarity to the stored vectors ${median.toFixed(5)} (median), ${(sorted[0] ?? NaN).toFixed(5)} (least)`;
  const other = manifest && JSON.stringify(manifest.model.files) !== JSON.stringify(model.files);
  if (median >= sameFrom)
    return finding(
      'drift',
      other ? 'note' : 'ok',
      `none. ${said}${other ? '; the manifest names other model files' : ''}`,
      figures,
    );
  if (!exact && median >= codedFrom)
    return finding(
      'drift',
      'ok',
      `none that could be told from the error of the index's codes. ${said}`,
      figures,
    );
  const why =
    median >= relatedFrom
      ? 'the index was made with another dtype or pre-processing'
      : 'the index was made with another model, or rows and covers do not belong together';
  return finding('drift', 'error', `${why}. ${said}`, figures);
}
