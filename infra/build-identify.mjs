// Builds native/identify, the addon that names the albums in photos. It needs a C++ compiler and nothing else.
// usage: node infra/build-identify.mjs        (also called by infra/bootstrap.mjs)
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Where lib/identify/native.ts looks for it. */
export const identifyAddon = (root) => join(root, 'build', 'identify.node');

/**
 * @param {{ root: string, log: (line: string) => void }} options
 * @returns {boolean} whether it was built; where it was not, everything but identification works
 */
export function buildIdentify({ root, log }) {
  const binary = identifyAddon(root);
  const off = (why) => {
    rmSync(binary, { force: true }); // an older one may not fit any more
    log(`${why}: albums in photos will not be named`);
    return false;
  };
  const compiler = ['g++', 'c++', 'clang++'].find(
    (name) => spawnSync(name, ['--version']).status === 0,
  );
  if (!compiler || process.platform === 'win32') return off('there is no C++ compiler to use');
  const require = createRequire(join(root, 'node_modules', 'faiss-node', 'package.json'));
  const unfinished = `${binary}.${process.pid}.new`;
  mkdirSync(dirname(binary), { recursive: true });
  const made = spawnSync(
    compiler,
    [
      // No contraction: a code must be the same on every machine, since feature files travel.
      ...['-O3', '-std=c++17', '-fPIC', '-ffp-contract=off', '-DNDEBUG', '-DNAPI_VERSION=8'],
      ...['-DNAPI_CPP_EXCEPTIONS', '-DBUILDING_NODE_EXTENSION'],
      ...(process.platform === 'darwin'
        ? ['-bundle', '-undefined', 'dynamic_lookup']
        : ['-shared', '-pthread']),
      `-I${require('node-api-headers').include_dir}`,
      `-I${dirname(require.resolve('node-addon-api/package.json'))}`,
      join(root, 'native', 'identify', 'binding.cc'),
      ...['-o', unfinished],
    ],
    { encoding: 'utf8' },
  );
  if (made.status !== 0) {
    rmSync(unfinished, { force: true });
    const [, reason = 'no reason given'] = /error: (.*)/.exec(made.stderr ?? '') ?? [];
    return off(`${compiler} could not compile native/identify/binding.cc (${reason})`);
  }
  renameSync(unfinished, binary);
  log(`built ${binary}`);
  return true;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  buildIdentify({
    root: dirname(dirname(fileURLToPath(import.meta.url))),
    log: (line) => console.log(line),
  });
