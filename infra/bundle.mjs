// Bundles each entry point into one CommonJS file under dist/, with the native packages left outside, and the
// page into dist/web/.
// usage: node infra/bundle.mjs        (also called by infra/bootstrap.mjs)
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundlePage } from './bundle-page.mjs';

/** Packages that are loaded from node_modules at run time: they hold binaries or files that they look for. */
export const external = [
  'onnxruntime-node',
  'faiss-node',
  'sharp',
  'libheif-js',
  'piscina',
  'swagger-ui-dist',
  '@lancedb/lancedb',
];

/** Half a MB that few processes need, as a file of its own: its code would take time at every start. */
const apart = {
  name: 'apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/arrow\.ts$/ }, () => ({
      path: '../workers/arrow.cjs',
      external: true,
    }));
  },
};

/** @param {string} root the repository's root @returns {Promise<{name: string, bytes: number}[]>} */
export async function bundle(root) {
  const { build } = await import('esbuild');
  const functions = (await readdir(join(root, 'functions'))).filter((name) => name.endsWith('.ts'));
  const outdir = join(root, 'dist');
  await rm(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries([
      ...functions.map((name) => [`functions/${name.slice(0, -3)}`, `functions/${name}`]),
      ['cli/shazam-visual', 'cli/shazam-visual.ts'],
      ['infra/prepare-starter', 'infra/prepare-starter.ts'],
      // Where lib/concurrency/worker-file.ts looks for them.
      ['workers/encoder-worker', 'lib/clip/encoder-worker.ts'],
      ['workers/heic-worker', 'lib/imaging/heic-worker.ts'],
      ['workers/arrow', 'lib/catalog/arrow.ts'],
    ]),
    outdir,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.19',
    // Natives are loaded by require: import() would first scan their CommonJS for exports, 80 ms a worker.
    supported: { 'dynamic-import': false },
    sourcemap: true,
    sourcesContent: false,
    // CommonJS has no import.meta; a bundle's own place is what stands for it.
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    external: external.flatMap((name) => [name, `${name}/*`]),
    plugins: [apart],
    metafile: true,
    logLevel: 'warning',
  });
  const programs = Object.entries(metafile.outputs)
    .filter(([name]) => name.endsWith('.cjs'))
    .map(([name, { bytes }]) => ({ name, bytes }));
  return [...programs, ...(await bundlePage(root, join(outdir, 'web')))];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  for (const { name, bytes } of await bundle(root))
    console.log(`${name}  ${(bytes / 1024).toFixed(0)} KB`);
}
