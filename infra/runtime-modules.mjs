// Copies the packages that the bundles load at run time, and nothing else of node_modules.
// usage: node infra/runtime-modules.mjs TARGET_FOLDER        (the Dockerfile does this)
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { external } from './bundle.mjs';

const modules = join(dirname(dirname(fileURLToPath(import.meta.url))), 'node_modules');

/** Needed only to install the packages that name them. */
const installOnly = new Set([
  '@scarf/scarf',
  'adm-zip',
  'global-agent',
  'node-addon-api',
  'node-gyp',
  'prebuild-install',
]);

/** Parts of packages that are no use here: sources, other platforms, what only a browser's debugger reads. */
const useless = [
  'faiss-node/src',
  'faiss-node/deps',
  'faiss-node/binding.gyp',
  'aws-lambda-ric/deps',
  'aws-lambda-ric/src',
  'libheif-js/libheif/libheif.js',
  'libheif-js/libheif-wasm/libheif-bundle.mjs',
  'libheif-js/libheif-wasm/libheif.js',
  'libheif-js/libheif-wasm/libheif.wasm',
  'swagger-ui-dist/swagger-ui.js',
  'swagger-ui-dist/swagger-ui-es-bundle.js',
  'swagger-ui-dist/swagger-ui-es-bundle-core.js',
  'swagger-ui-dist/swagger-ui-standalone-preset.js',
];

function copyWithNeeds(name, target, seen) {
  if (seen.has(name) || installOnly.has(name)) return;
  seen.add(name);
  const source = join(modules, name);
  if (!existsSync(source)) return; // optional, for another platform
  cpSync(source, join(target, name), {
    recursive: true,
    filter: (path) => !/\.(map|md|ts|mts|cts|tsbuildinfo)$/.test(path),
  });
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const needs = { ...manifest.dependencies, ...manifest.optionalDependencies };
  for (const need of Object.keys(needs)) copyWithNeeds(need, target, seen);
}

/** Of onnxruntime's binaries only this platform's are kept, and of those not the ones for other processors. */
function pruneOnnxRuntime(target) {
  const bin = join(target, 'onnxruntime-node', 'bin');
  for (const api of readdirSync(bin))
    for (const platform of readdirSync(join(bin, api)))
      for (const arch of readdirSync(join(bin, api, platform)))
        if (platform !== process.platform || arch !== process.arch)
          rmSync(join(bin, api, platform, arch), { recursive: true });
}

const [target] = process.argv.slice(2);
if (target === undefined) {
  console.error('usage: node infra/runtime-modules.mjs TARGET_FOLDER');
  process.exit(2);
}
const seen = new Set();
// Arrow is what LanceDB expects beside it; both are there only if asked for.
const beside = existsSync(join(modules, '@lancedb/lancedb')) ? ['apache-arrow'] : [];
for (const name of [...external, 'aws-lambda-ric', ...beside]) copyWithNeeds(name, target, seen);
for (const path of useless) rmSync(join(target, path), { recursive: true, force: true });
pruneOnnxRuntime(target);
console.log(
  [...seen]
    .filter((name) => existsSync(join(target, name)))
    .sort()
    .join(' '),
);
