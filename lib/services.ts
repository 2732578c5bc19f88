import type { Logger } from 'pino';
import { Catalog } from './catalog/catalog.ts';
import { NameIndex } from './catalog/name-index.ts';
import { EncoderPool, type EncodedBatch } from './clip/encoder-pool.ts';
import type { Tower } from './clip/model-files.ts';
import type { Config } from './config/config.ts';
import { lanceLocation } from './lance/lance-location.ts';
import { LanceSource } from './lance/lance-source.ts';
import type { Corpus, CorpusSource } from './search/corpus.ts';
import { FileCorpus, fileSource } from './search/file-corpus.ts';
import { AppError } from './errors.ts';
import { isNewer } from './filesystem/files.ts';
import { assertDescribed, readManifestFile } from './assets/manifest.ts';
import { FeatureIndex } from './identify/feature-index.ts';
import { canIdentify } from './identify/native.ts';
import { lazy } from './concurrency/lazy.ts';
import { SearchService } from './search/search-service.ts';
import { compactName, featuresName, indexName, metadataName } from './assets/assets.ts';
import { locateLocalAssets } from './assets/local-assets.ts';
import { trimMemory } from './vectors/vector-index.ts';
import { openEmbeddings } from './vectors/open-embeddings.ts';

export type Services = ReturnType<typeof createServices>;

/**
 * The composition root: wires the parts by hand. Each part is loaded once, on first use; the next request retries a
 * load that failed.
 *
 * @param onBatch called with each batch of queries that was encoded
 */
export function createServices(
  config: Config,
  log: Logger,
  onBatch?: (tower: Tower, batch: EncodedBatch) => void,
) {
  const stage = <T>(name: string, load: () => Promise<T>, describe: (value: T) => object) =>
    lazy(async () => {
      const start = performance.now();
      const value = await load();
      const ms = Math.round(performance.now() - start);
      log.info({ stage: name, ms, ...describe(value) }, 'loaded');
      return value;
    });

  const assets = lazy(async () => {
    const { assetsUri, cacheDir, pathStyle } = config.s3;
    if (assetsUri !== undefined) {
      // The AWS SDK is loaded only if it is needed.
      const { remoteAssets } = await import('./assets/remote-assets.ts');
      return remoteAssets({
        uri: assetsUri,
        cacheDir,
        pathStyle,
        onFetch: (event) => {
          log.info(event, event.fetched ? 'fetched' : 'in the cache');
        },
      });
    }
    const albumsElsewhere = config.catalogUri !== undefined;
    const found = await locateLocalAssets(config.assets, { albumsElsewhere });
    if (found.origin === 'starter')
      log.warn(
        { starter_set: true },
        'no files in MODELS_DIR: serving the starter set of made-up covers',
      );
    return found;
  });

  const makeCorpus = () => {
    const manifest = lazy(async () => {
      const path = await (await assets()).manifest();
      return path === null ? null : readManifestFile(path);
    });
    const catalog = stage(
      'catalog',
      async () => {
        const { metadata, compactMetadata, covers } = await assets();
        const described = await manifest();
        const compact = described?.files[compactName] ? await compactMetadata() : null;
        const opened = await (compact === null
          ? Catalog.open(await metadata())
          : checkedBeside(Catalog.openCompact(compact), [described, compactName, compact]));
        // In a folder, the list itself may have been changed by hand since its compact form was made.
        const isBeside = compact !== null && covers.kind === 'folder';
        if (compact === null || (isBeside && (await isNewer(await metadata(), compact))))
          await assertDescribed(described, metadataName, await metadata());
        for (const issue of opened.issues) log.warn(issue);
        return opened;
      },
      ({ size, dirtyRows, dataIssues }) => ({
        albums: size,
        dirty_rows: dirtyRows,
        ...Object.fromEntries(dataIssues),
      }),
    );
    const names = stage(
      'names',
      async () => NameIndex.build((await catalog()).columns),
      () => ({}),
    );
    const index = stage(
      'index',
      async () => {
        const path = await (await assets()).index();
        const described = await manifest();
        const ids = catalog().then((albums) => albums.ids());
        const opening = openEmbeddings(path, ids);
        const { index, warnings } = await checkedBeside(
          opening,
          [described, indexName, path],
          (opened) => {
            opened.index.dispose();
          },
        );
        for (const warning of warnings) log.warn(warning);
        return index;
      },
      ({ type, size, dimension }) => ({ type, vectors: size, dimension }),
    );
    const loadFeatures = stage(
      'features',
      async () => {
        const path = await (await assets()).features();
        // Features that the manifest does not list belong to another set.
        const described = (await manifest())?.files;
        if (path === null || (described && !described[featuresName])) return null;
        if (!canIdentify()) {
          log.warn(
            'albums in photos are not identified: the addon is not built, since there was no C++ compiler when npm run setup ran',
          );
          return null;
        }
        const { size } = await catalog();
        await assertDescribed(await manifest(), featuresName, path);
        const opened = await FeatureIndex.open(path);
        if (opened.size === size) return opened;
        opened.close();
        throw new AppError(
          'assets_inconsistent',
          `${path} does not match the metadata (covers: ${String(opened.size)}, albums: ${String(size)}): create it again with index features.`,
        );
      },
      (opened) => ({ identification: opened !== null }),
    );
    const features = config.identify === false ? lazy(() => Promise.resolve(null)) : loadFeatures;
    return new FileCorpus({ catalog, names, index, features });
  };
  /** @throws AppError `assets_inconsistent` if the model that is loaded does not fit a corpus */
  const assertFits = async (next: Corpus): Promise<void> => {
    const encoder = imageEncoder.made ?? textEncoder.made;
    const dimension = await next.dimension();
    if (encoder && encoder.dimension !== dimension)
      throw new AppError(
        'assets_inconsistent',
        `The new ${indexName} holds vectors of ${String(dimension)} dimensions but the model gives ${String(encoder.dimension)}.`,
      );
  };
  const { catalogUri } = config;
  const { reloadSeconds } = config.server;
  const source: CorpusSource =
    catalogUri === undefined
      ? fileSource(makeCorpus, assertFits)
      : new LanceSource(lanceLocation(catalogUri, config.s3), log, { reloadSeconds, assertFits });

  /**
   * Replaces index and metadata together by their new versions. Searches in progress finish with the old ones.
   *
   * @throws AppError if the new files can't be served; the old ones then stay in use
   */
  const reload = async (): Promise<void> => {
    await source.reload();
    await trimMemory();
  };

  /**
   * Loads a tower and the index in parallel.
   *
   * @throws AppError `assets_inconsistent` if the model does not fit the index
   */
  const openTower = async (tower: Tower): Promise<EncoderPool> => {
    const { corpus } = source;
    corpus.load().catch(() => undefined); // awaited below
    const pool = await EncoderPool.open({
      tower,
      modelDir: await (await assets()).clip(tower, config.dtype),
      dtype: config.dtype,
      maxPixels: config.limits.imagePixels,
      ...(tower === 'vision' && config.encoder),
      onBatch: (batch) => onBatch?.(tower, batch),
      onWorkerLost: (err) => {
        log.error({ err, tower }, 'a model worker ended unexpectedly and is replaced');
      },
    });
    try {
      const dimension = await corpus.dimension();
      if (pool.dimension === dimension) return pool;
      const { place } = await assets();
      throw new AppError(
        'assets_inconsistent',
        `The model in ${place} gives embeddings of ${String(pool.dimension)} dimensions but ${config.catalogUri ?? indexName} holds vectors of ${String(dimension)}.`,
      );
    } catch (error) {
      await pool.close();
      throw error;
    }
  };

  const describeTower = ({ dtype, dimension, workers, threads }: EncoderPool) => ({
    ...{ dtype, dimension, workers, threads },
  });
  const imageEncoder = stage('image_encoder', () => openTower('vision'), describeTower);
  const textEncoder = stage('text_encoder', () => openTower('text'), describeTower);

  /** Storage for pictures that are too large for a request. @throws AppError `uploads_disabled` */
  const uploads = lazy(async () => {
    const { uploadsUri, pathStyle } = config.s3;
    if (uploadsUri === undefined)
      throw new AppError(
        'uploads_disabled',
        'This server has no upload storage: send the picture to POST /api/search-by-image.',
      );
    const { Uploads } = await import('./assets/uploads.ts');
    return new Uploads(uploadsUri, { pathStyle, maxBytes: config.limits.uploadBytes });
  });

  return {
    assets,
    get corpus() {
      return source.corpus;
    },
    reload,
    imageEncoder,
    textEncoder,
    uploads,
    /** Ends the workers. The services must not be used afterwards. */
    close: async () => {
      await Promise.all([imageEncoder.made?.close(), textEncoder.made?.close()]);
    },
    search: new SearchService({
      ...{ imageEncoder, textEncoder, corpus: () => source.corpus },
      waiting: config.limits.waitingSearches,
      kept: config.queryCache,
    }),
  };
}

/**
 * What is opened from a file, once it is also known that the manifest describes this file.
 *
 * @param discard frees it if the manifest describes another file
 * @throws the error of opening it before that of the check
 */
async function checkedBeside<T>(
  opening: Promise<T>,
  file: Parameters<typeof assertDescribed>,
  discard: (opened: T) => void = () => undefined,
): Promise<T> {
  // Neither goes on after a failure: each request would start another.
  const [opened, checked] = await Promise.allSettled([opening, assertDescribed(...file)]);
  if (opened.status === 'rejected') throw opened.reason;
  if (checked.status === 'fulfilled') return opened.value;
  discard(opened.value);
  throw checked.reason;
}

/**
 * Loads everything that searches need, then returns unused memory to the system once. The first worker for pictures comes
 * first: beside the other loads, the first picture would wait for a core (2.0 instead of 1.6 s with CLIP as q8 on 2 cores).
 * The names, which take longest in a large catalog, are built in the background.
 *
 * @throws the first failure
 */
export async function warmUp({ corpus, imageEncoder, textEncoder }: Services): Promise<void> {
  await Promise.all([corpus.load(), imageEncoder().finally(textEncoder)]);
  await (await imageEncoder()).loadAll();
  await trimMemory();
  corpus.loadNames().catch(() => undefined); // a search by name tries again
}
