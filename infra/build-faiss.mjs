// Builds native/faiss, the binding to FAISS, against the system's, whatever else is on the machine. It takes the place of
// faiss-node's own binary, which is fetched where there is nothing to build with.
// usage: node infra/build-faiss.mjs        (also called by infra/bootstrap.mjs)
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { aptCommand, installWithApt } from './apt.mjs';

/** A failure with the command that mends it. */
class BuildError extends Error {
  constructor(message, mend) {
    super(message);
    this.mend = mend;
  }
}

/** Debian's names of what the build needs. */
const debianPackages = ['libfaiss-dev', 'libopenblas0-pthread', 'g++'];
const aptInstall = aptCommand(debianPackages);

/** What to run elsewhere, by platform or by the ID in /etc/os-release. */
const elsewhere = {
  darwin: 'brew install faiss libomp openblas',
  fedora: 'sudo dnf install faiss-devel openblas-devel gcc-c++',
  arch: 'sudo pacman -S faiss openblas gcc',
};

/**
 * @param {{ root: string, log: (line: string) => void }} options
 * @throws BuildError with what failed, why, and in `mend` the command that mends it
 */
export async function buildFaiss({ root, log }) {
  const folder = join(root, 'node_modules', 'faiss-node');
  const binary = join(folder, 'build', 'Release', 'faiss-node.node');
  let toolchain = findToolchain();
  if (!toolchain && installWithApt(debianPackages, log)) toolchain = findToolchain();
  if (toolchain) {
    compile(root, folder, binary, toolchain);
    log(`built against ${toolchain.faiss}`);
  } else {
    const mend = howToInstall();
    log(`FAISS, OpenBLAS or a C++ compiler is missing. Run: ${mend}`);
    log(
      "trying faiss-node's own prebuilt binary (slower, and without all that native/faiss adds) …",
    );
    downloadPrebuilt(folder, mend);
  }
  const loads = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(binary)})`], {
    encoding: 'utf8',
  });
  if (loads.status !== 0)
    throw new BuildError(
      `the binding was made but does not load: ${firstLine(loads.stderr, /Error: (.*)/)}`,
      `rm -rf ${binary}, then run this again`,
    );
}

/** Where libraries and headers lie, or `null` where something is missing. */
function findToolchain() {
  const compiler = ['g++', 'c++', 'clang++'].find(
    (name) => spawnSync(name, ['--version']).status === 0,
  );
  if (!compiler) return null;
  const prefixes = [
    '/usr',
    '/usr/local',
    '/opt/homebrew',
    '/opt/homebrew/opt/libomp',
    '/opt/homebrew/opt/openblas',
  ];
  const triplet = spawnSync(compiler, ['-dumpmachine'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const libraries = prefixes.flatMap((prefix) => [
    `${prefix}/lib`,
    `${prefix}/lib64`,
    `${prefix}/lib/${triplet}`,
  ]);
  const find = (...names) =>
    libraries
      .flatMap((dir) => names.map((name) => join(dir, name)))
      .find((path) => existsSync(path));
  const headers = prefixes
    .map((prefix) => join(prefix, 'include'))
    .filter((dir) => existsSync(dir));
  const faiss = find('libfaiss.a', 'libfaiss.so', 'libfaiss.dylib');
  const blas = find('libopenblas.so.0', 'libopenblas.so', 'libopenblas.dylib');
  const include = headers.find((dir) => existsSync(join(dir, 'faiss', 'Index.h')));
  return faiss && blas && include ? { compiler, faiss, blas, headers } : null;
}

function compile(root, folder, binary, { compiler, faiss, blas, headers }) {
  mkdirSync(dirname(binary), { recursive: true });
  const unfinished = `${binary}.${process.pid}.new`;
  const apple = process.platform === 'darwin';
  const require = createRequire(join(folder, 'package.json'));
  const args = [
    ...[
      '-O3',
      '-std=c++17',
      '-fPIC',
      '-DNDEBUG',
      '-DNAPI_VERSION=8',
      '-DNAPI_CPP_EXCEPTIONS',
      '-DBUILDING_NODE_EXTENSION',
    ],
    ...(apple
      ? ['-bundle', '-undefined', 'dynamic_lookup']
      : ['-shared', '-Wl,-Bsymbolic-functions', '-fopenmp', '-pthread']),
    `-I${require('node-api-headers').include_dir}`,
    `-I${dirname(require.resolve('node-addon-api/package.json'))}`,
    ...headers.map((dir) => `-I${dir}`),
    join(root, 'native', 'faiss', 'binding.cc'),
    ...['-o', unfinished, faiss, blas],
    ...(apple ? [] : ['-lgomp']),
  ];
  try {
    execFileSync(compiler, args, {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    renameSync(unfinished, binary);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw new BuildError(
      `${compiler} could not compile native/faiss/binding.cc: ${firstLine(error.stderr ?? error.message, /error: (.*)/)}`,
      `${howToInstall()}, then run this again`,
    );
  }
}

/** Upstream's install script does the same. */
function downloadPrebuilt(folder, mend) {
  const tool = createRequire(join(folder, 'package.json')).resolve('prebuild-install/bin.js');
  const got = spawnSync(process.execPath, [tool, '--runtime', 'napi'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, npm_config_loglevel: 'warn' },
  });
  if (got.status === 0) return;
  throw new BuildError(
    `there is no FAISS to build against, and faiss-node's prebuilt binary could not be fetched (${firstLine(got.stderr, /(?:err!|warn) (?:install )?(.*)/i)})`,
    mend,
  );
}

/** The one command that installs what the build needs on this system. */
function howToInstall() {
  if (process.platform !== 'linux')
    return elsewhere[process.platform] ?? 'install FAISS, OpenBLAS and a C++ compiler';
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)/gm)].flatMap(([, value]) =>
    value.split(' '),
  );
  if (ids.includes('debian') || ids.includes('ubuntu'))
    return `${process.getuid?.() === 0 ? '' : 'sudo '}apt-get update && ${process.getuid?.() === 0 ? '' : 'sudo '}${aptInstall}`;
  const known = ids.find((id) => id in elsewhere);
  return known
    ? elsewhere[known]
    : 'install the development files of FAISS and OpenBLAS, and a C++ compiler';
}

const firstLine = (text, pattern) =>
  pattern.exec(text ?? '')?.[1] ?? (text ?? '').trim().split('\n')[0] ?? 'no reason given';

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    await buildFaiss({
      root: dirname(dirname(fileURLToPath(import.meta.url))),
      log: (line) => console.log(line),
    });
  } catch (error) {
    console.error(
      `The build of faiss-node failed: ${error.message}.\nTo mend it: ${error.mend ?? 'see above'}`,
    );
    process.exitCode = 1;
  }
}
