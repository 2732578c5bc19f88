import type { Logger } from 'pino';
import { Catalog } from './catalog/catalog.ts';
import { createImageEncoder } from './clip/image-encoder.ts';
import type { Tower } from './clip/model-files.ts';
import { createTextEncoder } from './clip/text-encoder.ts';
import type { Config } from './config.ts';
import { Corpus } from './corpus.ts';
import { AppError } from './errors.ts';
import { readManifestFile } from './indexing/manifest.ts';
import { assertDescribed } from './indexing/quick-check.ts';
import { lazy, type Lazy } from './lazy.ts';
import { SearchService } from './search/search-service.ts';
import { indexName, metadataName } from './storage/assets.ts';
import { locateLocalAssets } from './storage/local-assets.ts';
import { openEmbeddings } from './vectors/open-embeddings.ts';

export type Services = ReturnType<typeof createServices>;

/**
 * The composition root: wires the parts by hand. Nothing is loaded until it is asked for, whatever is
 * loaded is loaded once, and a load that failed is tried again by the next request.
 */
export function createServices(config: Config, log: Logger) {
  const stage = <T>(
    name: string,
    load: () => Promise<T>,
    describe: (value: T) => object,
  ): Lazy<T> =>
    lazy(async () => {
      const start = performance.now();
      const value = await load();
      log.info(
        { stage: name, ms: Math.round(performance.now() - start), ...describe(value) },
        'loaded',
      );
      return value;
    });

  const assets = lazy(async () => {
    const { assetsUri, cacheDir, pathStyle } = config.s3;
    if (assetsUri !== undefined) {
      // The AWS SDK is loaded only where it is needed.
      const { remoteAssets } = await import('./storage/remote-assets.ts');
      return remoteAssets({
        uri: assetsUri,
        cacheDir,
        pathStyle,
        onFetch: (event) => {
          log.info(event, event.fetched ? 'fetched' : 'in the cache');
        },
      });
    }
    const found = await locateLocalAssets(config.assets);
    if (found.origin === 'starter')
      log.warn(
        { starter_set: true },
        "no files of the user's in MODELS_DIR: serving the starter set of made-up covers",
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
        const path = await (await assets()).metadata();
        const opened = await Catalog.open(path);
        await assertDescribed(await manifest(), metadataName, path);
        for (const issue of opened.issues) log.warn(issue);
        return opened;
      },
      ({ size, dirtyRows, blemishes }) => ({
        albums: size,
        dirty_rows: dirtyRows,
        ...Object.fromEntries(blemishes),
      }),
    );
    const index = stage(
      'index',
      async () => {
        const [path, albums] = await Promise.all([(await assets()).index(), catalog()]);
        const { index, warnings } = await openEmbeddings(path, albums.ids());
        await assertDescribed(await manifest(), indexName, path);
        for (const warning of warnings) log.warn(warning);
        return index;
      },
      ({ type, size, dimension }) => ({ type, vectors: size, dimension }),
    );
    return new Corpus({ catalog, index });
  };
  let corpus = makeCorpus();

  /**
   * Reads index and list anew, and puts them in the place of the old ones together. Searches under way end
   * with the old ones.
   *
   * @throws AppError where the new files can't be served; the old ones go on being served then
   */
  const reload = async (): Promise<void> => {
    const next = makeCorpus();
    const { dimension } = await next.index();
    const encoder = imageEncoder.made ?? textEncoder.made;
    if (encoder && encoder.dimension !== dimension)
      throw new AppError(
        'assets_inconsistent',
        `The new ${indexName} holds vectors of ${String(dimension)} dimensions but the model gives ${String(encoder.dimension)}.`,
      );
    corpus.retire();
    corpus = next;
  };

  /** @throws AppError `assets_inconsistent` where the model does not fit the index. */
  const fitting = async <T extends { dimension: number }>(encoder: T): Promise<T> => {
    const { dimension } = await corpus.index();
    if (encoder.dimension === dimension) return encoder;
    const { place } = await assets();
    throw new AppError(
      'assets_inconsistent',
      `The model in ${place} gives embeddings of ${String(encoder.dimension)} dimensions but ${indexName} holds vectors of ${String(dimension)}.`,
    );
  };

  const encoderOptions = async (tower: Tower) => ({
    modelDir: await (await assets()).clip(tower, config.dtype),
    ...(config.dtype && { dtype: config.dtype }),
  });

  const imageEncoder = stage(
    'image_encoder',
    async () =>
      fitting(
        await createImageEncoder({
          ...(await encoderOptions('vision')),
          maxPixels: config.limits.imagePixels,
        }),
      ),
    ({ dtype, dimension }) => ({ dtype, dimension }),
  );

  const textEncoder = stage(
    'text_encoder',
    async () => fitting(await createTextEncoder(await encoderOptions('text'))),
    ({ dtype, dimension }) => ({ dtype, dimension }),
  );

  /** Where clients send pictures too large for a request. @throws AppError `uploads_disabled` */
  const uploads = lazy(async () => {
    const { uploadsUri, pathStyle } = config.s3;
    if (uploadsUri === undefined)
      throw new AppError(
        'uploads_disabled',
        'This server takes pictures only with the search itself: send the file to POST /api/search-by-image.',
      );
    const { Uploads } = await import('./storage/uploads.ts');
    return new Uploads(uploadsUri, { pathStyle, maxBytes: config.limits.uploadBytes });
  });

  return {
    assets,
    get catalog() {
      return corpus.catalog;
    },
    get index() {
      return corpus.index;
    },
    reload,
    imageEncoder,
    textEncoder,
    uploads,
    search: new SearchService({
      ...{ imageEncoder, textEncoder, corpus: () => corpus },
      waiting: config.limits.waitingSearches,
      kept: config.queryCache,
    }),
  };
}

/**
 * Loads everything, one stage after the other so that each logs its own duration; what a picture needs
 * comes first.
 *
 * @throws the first failure
 */
export async function warmUp(services: Services): Promise<void> {
  await services.index();
  await services.imageEncoder();
  await services.textEncoder();
}
