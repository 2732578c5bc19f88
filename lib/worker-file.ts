/**
 * The bundle of a worker thread, as `infra/bundle.mjs` makes it: loaders of TypeScript don't reach into workers.
 *
 * @param name of the file in `dist/workers`, without its ending
 */
export const workerFile = (name: string): URL =>
  new URL(
    import.meta.url.endsWith('.cjs') ? `../workers/${name}.cjs` : `../dist/workers/${name}.cjs`,
    import.meta.url,
  );
