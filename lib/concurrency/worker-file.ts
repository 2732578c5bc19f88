/**
 * The bundle of a worker thread, built by `infra/bundle.mjs`: TypeScript loaders don't reach into workers.
 *
 * @param name of the file in `dist/workers`, without its extension
 */
export const workerFile = (name: string): URL =>
  new URL(
    import.meta.url.endsWith('.cjs') ? `../workers/${name}.cjs` : `../../dist/workers/${name}.cjs`,
    import.meta.url,
  );
