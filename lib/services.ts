import type { Logger } from 'pino';
import { Catalog } from './catalog/catalog.ts';
import { createImageEncoder } from './clip/image-encoder.ts';
import type { Tower } from './clip/model-files.ts';
import { createTextEncoder } from './clip/text-encoder.ts';
import type { Config } from './config.ts';
import { AppError } from './errors.ts';
import { lazy, type Lazy } from './lazy.ts';
import { SearchService } from './search/search-service.ts';
import { indexName, metadataName } from './storage/assets.ts';
import { locateLocalAssets } from './storage/local-assets.ts';
import { VectorIndex } from './vectors/vector-index.ts';

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

  const catalog = stage(
    'catalog',
    async () => Catalog.open(await (await assets()).metadata()),
    ({ size, dirtyRows, blemishes }) => ({
      albums: size,
      dirty_rows: dirtyRows,
      ...Object.fromEntries(blemishes),
    }),
  );

  const index = stage(
    'index',
    async () => {
      const { index, place } = await assets();
      const [opened, albums] = await Promise.all([
        index().then((path) => VectorIndex.open(path)),
        catalog(),
      ]);
      if (opened.size !== albums.size)
        throw new AppError(
          'assets_inconsistent',
          `In ${place}, ${indexName} holds ${String(opened.size)} vectors but ${metadataName} lists ${String(albums.size)} albums: ` +
            'expected one album for each vector, in the same order.',
        );
      return opened;
    },
    ({ type, size, dimension }) => ({ type, vectors: size, dimension }),
  );

  /** @throws AppError `assets_inconsistent` where the model does not fit the index. */
  const fitting = async <T extends { dimension: number }>(encoder: T): Promise<T> => {
    const { dimension } = await index();
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
    catalog,
    index,
    imageEncoder,
    textEncoder,
    uploads,
    search: new SearchService({ imageEncoder, textEncoder, index, catalog }),
  };
}

/**
 * Loads everything, one stage after the other so that each logs its own duration; what a picture needs
 * comes first.
 *
 * @throws the first failure
 */
export async function warmUp(services: Services): Promise<void> {
  await services.catalog();
  await services.index();
  await services.imageEncoder();
  await services.textEncoder();
}
