// Everything between a fresh clone and a running service, with nothing but Node and npm.
// usage: node infra/bootstrap.mjs [start | test [FILE …] | dev]
//   without a command: set up what starting needs; dev: also what tests, linting and deployment need
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const starter = join(root, 'models', 'starter');

/** A failure that tells what to do about it. */
class SetupError extends Error {
  constructor(message, mend) {
    super(message);
    this.mend = mend;
  }
}

const npmOptions = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
const packagesKey = () => digest(['package-lock.json']) + process.version + process.arch;

/** Each step is skipped when its key, a digest of all that goes into it, is the one it was last done with. */
const steps = [
  {
    name: 'packages',
    says: 'install the packages of package-lock.json (npm ci, without install scripts)',
    key: packagesKey,
    done: () => existsSync(join(modules, 'esbuild', 'package.json')),
    run: () =>
      run('npm', ['ci', '--omit=dev', ...npmOptions], {
        mend: 'rm -rf node_modules, then run this again',
      }),
  },
  {
    name: 'faiss',
    says: "build the binding to the system's FAISS",
    key: () =>
      digest(['package-lock.json', 'native/faiss', 'infra/build-faiss.mjs']) + process.arch,
    done: () => existsSync(join(modules, 'faiss-node', 'build', 'Release', 'faiss-node.node')),
    async run() {
      const { buildFaiss } = await import('./build-faiss.mjs');
      await buildFaiss({ root, log: (line) => console.log(`  ${line}`) });
    },
  },
  {
    name: 'identify',
    says: 'build the addon that names the albums in photos',
    key: () =>
      digest(['package-lock.json', 'native/identify', 'infra/build-identify.mjs']) + process.arch,
    done: () => existsSync(join(root, 'build', 'identify.node')),
    async run() {
      const { buildIdentify } = await import('./build-identify.mjs');
      buildIdentify({ root, log: (line) => console.log(`  ${line}`) });
    },
  },
  {
    name: 'bundle',
    says: 'bundle the server and the functions (esbuild)',
    key: () =>
      digest([
        'package-lock.json',
        'package.json',
        'functions',
        'lib',
        'pipeline',
        'cli',
        'infra',
        'web',
      ]),
    done: () =>
      ['functions/server.cjs', 'cli/shazam-visual.cjs', 'web/index.html'].every((path) =>
        existsSync(join(root, 'dist', path)),
      ),
    // In a process of its own: esbuild's service would stay in memory for as long as the server runs.
    run: () =>
      run(process.execPath, [join(root, 'infra', 'bundle.mjs')], {
        mend: 'rm -rf dist, then run this again',
      }),
  },
  {
    name: 'starter',
    says: 'index the covers of the starter set',
    key: () =>
      digest([
        'lib/imaging',
        'lib/clip',
        'pipeline/indexing',
        'lib/assets/manifest.ts',
        'lib/identify',
        'native/identify',
        'models/starter/catalog/images',
        'models/starter/catalog/valid_metadata_final.json',
        'models/starter/onnx',
        'models/starter/preprocessor_config.json',
      ]),
    done: () => existsSync(join(starter, 'catalog', 'index', 'album_covers.index')),
    run: () =>
      run(process.execPath, [join(root, 'dist', 'infra', 'prepare-starter.cjs')], {
        env: { MODELS_DIR: '', IMAGES_DIR: '', STARTER_DIR: starter },
        mend: 'rm -rf models/starter/catalog/index, then run this again',
      }),
  },
];

/** What tests, linting, benches and deployment need beside. `npm install` keeps what is installed and built already. */
const devSteps = [
  {
    name: 'dev-packages',
    says: 'install the packages for tests and deployment (npm install)',
    key: packagesKey,
    done: () => existsSync(join(modules, 'tsx', 'package.json')),
    run: () =>
      run('npm', ['install', '--no-save', '--include=dev', ...npmOptions], {
        mend: 'rm -rf node_modules, then run this again',
      }),
  },
];

/** Reports what can't be installed; the tests that need it are then skipped and say so. */
const testSteps = (programs) => [
  {
    name: 'test-programs',
    says: "have the programs that tests need (Debian's packages)",
    key: () => digest(['infra/test-packages.mjs']) + programs.join(),
    done: () => true,
    async run() {
      const { installTestPrograms } = await import('./test-packages.mjs');
      installTestPrograms(programs, (line) => console.log(`  ${line}`));
    },
  },
];

async function setUp(steps) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new SetupError(
      `Node 20.19 or newer is needed, and this is ${process.version}`,
      'install a current Node from https://nodejs.org',
    );
  const began = performance.now();
  for (const [i, step] of steps.entries()) {
    const label = `[${i + 1}/${steps.length}] ${step.says}`;
    const key = step.key();
    if (step.done() && stamps()[step.name] === key) {
      console.log(`${label}: done already`);
      continue;
    }
    console.log(`${label} …`);
    const start = performance.now();
    await step.run();
    stamp(step.name, key);
    console.log(`${label}: ${seconds(start)}`);
  }
  console.log(`set up in ${seconds(began)}`);
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** What was done with which key; it lies in node_modules, so that it goes when that goes. */
const stampFile = join(modules, '.cache', 'shazam-visual', 'setup.json');

function stamps() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return {}; // nothing done yet, or cut off while being written: do it again
  }
}

function stamp(name, key) {
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(`${stampFile}.new`, JSON.stringify({ ...stamps(), [name]: key }, null, 2));
  renameSync(`${stampFile}.new`, stampFile);
}

/** A digest over files and folders, by path and content. */
function digest(paths) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory())
      for (const name of readdirSync(full).sort()) visit(`${path}/${name}`);
    else hash.update(path).update('\0').update(readFileSync(full)).update('\0');
  };
  for (const path of paths) visit(path);
  return hash.digest('hex').slice(0, 16);
}

/** Runs a command in the repository's root with its output shown, and waits for it. */
function run(command, args, { env = {}, mend }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, ...env },
      shell: process.platform === 'win32' && command === 'npm',
    });
    child.once('error', (error) =>
      reject(new SetupError(`${command} could not be started: ${error.message}`, mend)),
    );
    child.once('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(
            new SetupError(
              `${command} ${args.join(' ')} ended with ${signal ?? `status ${code}`}`,
              mend,
            ),
          ),
    );
  });
}

/** Which programs the tests of some files need; of none in particular, those that `npm test` runs. */
function programsOf(files) {
  if (files.length === 0) return ['storage', 'browser', 'onnx'];
  const needs = files.flatMap((file) => {
    if (file.includes('page')) return ['browser'];
    if (file.includes('model-layouts')) return ['onnx'];
    return file.includes('image') ? ['storage', 'image'] : ['storage'];
  });
  return [...new Set(needs)];
}

function testFiles() {
  const folder = join(root, 'test');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join('test', name));
}

async function main([command, ...rest]) {
  process.chdir(root);
  try {
    await setUp([
      ...steps,
      ...(command === 'test' || command === 'dev' ? devSteps : []),
      ...(command === 'test' ? testSteps(programsOf(rest)) : []),
    ]);
  } catch (error) {
    console.error(`\nSet-up failed: ${error.message}.`);
    console.error(`To fix it: ${error.mend ?? 'see the output above'}`);
    process.exitCode = 1;
    return;
  }
  if (command === 'start') {
    await import('../dist/functions/server.cjs');
  } else if (command === 'test') {
    const files = rest.length > 0 ? rest : testFiles();
    const child = spawn(process.execPath, ['--import', 'tsx', '--test', ...files], {
      cwd: root,
      stdio: 'inherit',
    });
    child.once('exit', (code) => (process.exitCode = code ?? 1));
  }
}

await main(process.argv.slice(2));
