// Builds the page: one script, one style sheet and the icon, named by their content, and index.html that names
// them. Beside each lies the same compressed, so that a server need only choose.
// usage: node infra/bundle-page.mjs        (also called by infra/bundle.mjs)
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** Browsers since the spring of 2024 (`AbortSignal.any`), which older syntax would not help. */
const target = ['chrome120', 'edge120', 'firefox124', 'safari17.4'];

/** What index.html names, as it lies in web/. */
const parts = { app: 'main.ts', page: 'styles/page.css', icon: 'icon.svg' };

/**
 * @param {string} root the repository's root
 * @param {string} outdir where the page goes
 * @returns {Promise<{name: string, bytes: number}[]>}
 */
export async function bundlePage(root, outdir) {
  const { build } = await import('esbuild');
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(parts).map(([out, path]) => ({ out, in: `web/${path}` })),
    outdir: join(outdir, 'assets'),
    entryNames: '[name]-[hash]',
    loader: { '.svg': 'copy' },
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target,
    minify: true,
    charset: 'utf8',
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  let page = await readFile(join(root, 'web', 'index.html'), 'utf8');
  for (const [path, { entryPoint, inputs }] of Object.entries(metafile.outputs)) {
    const source = entryPoint ?? Object.keys(inputs)[0];
    page = page.replace(
      `"./${relative('web', source)}"`,
      `"./${relative(outdir, join(root, path))}"`,
    );
  }
  const files = [
    ...outputFiles.map(({ path, contents }) => ({ path, contents: Buffer.from(contents) })),
    { path: join(outdir, 'index.html'), contents: Buffer.from(withoutIndents(page)) },
  ];
  for (const { path, contents } of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, contents);
    await writeFile(`${path}.gz`, gzipSync(contents, { level: 9 }));
    await writeFile(`${path}.br`, brotliCompressSync(contents, brotliOptions(contents.length)));
  }
  return files.map(({ path, contents }) => ({
    name: relative(root, path),
    bytes: contents.length,
  }));
}

/** Indents and comments are for readers of web/index.html. */
const withoutIndents = (html) => html.replace(/<!--.*?-->\s*/gs, '').replace(/^\s+/gm, '');

const brotliOptions = (length) => ({
  params: {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: length,
  },
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  for (const { name, bytes } of await bundlePage(root, join(root, 'dist', 'web')))
    console.log(`${name}  ${bytes} bytes`);
}
