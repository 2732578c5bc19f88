import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { root } from '../support/requests.ts';

const run = promisify(execFile);
const buildEnv = { ...process.env, BUILDAH_ISOLATION: 'chroot' };

/** Makes a base image where no registry can be reached; it may lie beside the repository. */
const baseImageTool = fileURLToPath(
  new URL('../../../shared/tools/base-image.sh', import.meta.url),
);
const baseImage = 'node:24-bookworm-slim';

/** Why the image can't be built here, or `false`. */
export const imageSkip: string | false =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'building an image without an engine needs Linux and root'
    : spawnSync('buildah', ['--version']).status !== 0
      ? 'buildah is not installed (Debian: buildah crun debootstrap)'
      : !haveBase()
        ? `neither a registry nor ../shared/tools gives ${baseImage}`
        : false;

/** Has the base image where it can be had: made before, from a registry, or by the tool. */
function haveBase(): boolean {
  const ask = (command: string, ...args: string[]) =>
    spawnSync(command, args, { env: buildEnv, timeout: 600_000, stdio: 'ignore' }).status === 0;
  if (ask('buildah', 'inspect', '--type', 'image', `localhost/${baseImage}`)) return true;
  if (ask('timeout', '60', 'buildah', 'pull', '-q', `docker.io/library/${baseImage}`)) return true;
  if (!existsSync(baseImageTool)) return false;
  const work = mkdtempSync(join(tmpdir(), 'base-image-'));
  const made = ask('bash', baseImageTool, work, '24');
  rmSync(work, { recursive: true, force: true });
  return made;
}

/** What the image says of itself. */
export interface ImageConfig {
  User: string;
  Env: string[];
  Entrypoint: string[];
  Cmd: string[] | null;
  WorkingDir: string;
  ExposedPorts: Record<string, object>;
  Healthcheck?: { Test: string[] };
}

export interface Image {
  name: string;
  config: ImageConfig;
  /** Where its root file system is mounted. */
  rootfs: string;
  /** Bytes of all layers, unpacked. */
  bytes: number;
  remove: () => Promise<void>;
}

/**
 * Builds a stage of the Dockerfile.
 *
 * @throws Error with the end of what the build said
 */
export async function buildImage(
  target: string,
  buildArgs: Record<string, string> = {},
): Promise<Image> {
  const name = `localhost/shazam-visual-test:${target}`;
  // Where the host trusts a certificate authority of its own, the build must too.
  const scratch = mkdtempSync(join(tmpdir(), 'image-'));
  const authorities = '/etc/ssl/certs/ca-certificates.crt';
  const npmrc = join(scratch, 'npmrc');
  writeFileSync(npmrc, `cafile=${authorities}\n`);
  const mounts = [`${authorities}:${authorities}:ro`, `${npmrc}:/usr/local/etc/npmrc:ro`];
  try {
    await run(
      'buildah',
      [
        ...['bud', '--isolation', 'chroot', '--format', 'docker', '--layers'],
        ...mounts.flatMap((mount) => ['-v', mount]),
        ...Object.entries(buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
        ...['--target', target, '-t', name, '.'],
      ],
      { cwd: root, env: buildEnv, maxBuffer: 1e8 },
    );
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`the build failed: ${`${stdout}\n${stderr}`.slice(-3000)}`, { cause: error });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const { stdout: inspected } = await run('buildah', ['inspect', '--type', 'image', name]);
  const { Docker } = JSON.parse(inspected) as { Docker: { config: ImageConfig } };
  const { stdout: container } = await run('buildah', ['from', '--pull-never', name]);
  const { stdout: mounted } = await run('buildah', ['mount', container.trim()]);
  const rootfs = mounted.trim();
  const { stdout: used } = await run('du', ['-sxb', rootfs]);
  return {
    name,
    config: Docker.config,
    rootfs,
    bytes: Number(used.split('\t')[0]),
    remove: async () => {
      await run('buildah', ['rm', container.trim()]);
      await run('buildah', ['rmi', '-f', name]);
    },
  };
}

/** A process in an image, process 1 there. */
export interface ContainerProcess {
  child: ChildProcess;
  /** All that it has said. */
  output: () => string;
  /** Resolves when what it has said fits. */
  said: (pattern: RegExp, ms?: number) => Promise<RegExpExecArray>;
  /** Sends a signal to process 1 and resolves with its exit status. */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>;
}

/** Mounts the root read-only with only /tmp to write to, and runs a command there as the image's user. */
const enter = `
set -e
R=$1; user=$2; dir=$3; shift 3
mount --make-rprivate /
mount --bind "$R" "$R"
mount -o remount,bind,ro "$R"
mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
mount -t proc proc "$R/proc"
for device in null zero random urandom; do
  [ -e "$R/dev/$device" ] || continue
  mount --bind "/dev/$device" "$R/dev/$device"
done
exec chroot --userspec="$user" "$R" /usr/bin/env -i -C "$dir" "$@"
`;

/**
 * Runs the image as an engine would: its user, its environment, its entry point, in a mount and process name
 * space of its own, with a read-only root. The network is the host's.
 */
export function runImage(
  { rootfs, config }: Image,
  env: Record<string, string>,
  command: string[] = config.Cmd ?? [],
  entrypoint: string[] = config.Entrypoint,
): ContainerProcess {
  const variables = [
    ...config.Env,
    ...Object.entries(env).map(([key, value]) => `${key}=${value}`),
  ];
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', enter, 'enter'],
      ...[rootfs, config.User, config.WorkingDir, ...variables, ...entrypoint, ...command],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const listener of listeners) listener();
    });
  const closed = once(child, 'close');
  return {
    child,
    output: () => output,
    said: (pattern, ms = 180_000) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(output);
          if (found)
            finish(() => {
              resolve(found);
            });
        };
        const fail = (why: string) => () => {
          finish(() => {
            reject(new Error(`${why}; it said: ${output.slice(-2000)}`));
          });
        };
        const timer = setTimeout(fail(`not said in ${String(ms)} ms: ${String(pattern)}`), ms);
        const finish = (end: () => void) => {
          clearTimeout(timer);
          listeners.delete(look);
          end();
        };
        listeners.add(look);
        child.once('close', fail('the process ended'));
        look();
      }),
    stop: async (signal = 'SIGTERM') => {
      const first = firstChild(child.pid);
      if (first !== undefined) process.kill(first, signal);
      await closed;
      return child.exitCode;
    },
  };
}

/** Process 1 of the container, as the host numbers it. */
const firstChild = (pid: number | undefined): number | undefined => {
  try {
    const path = `/proc/${String(pid)}/task/${String(pid)}/children`;
    const [first] = readFileSync(path, 'utf8').trim().split(' ').filter(Boolean);
    return first === undefined ? undefined : Number(first);
  } catch {
    return undefined; // it has ended
  }
};
