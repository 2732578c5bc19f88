// Debian's packages, where this may install them.
import { spawnSync } from 'node:child_process';

/** The command that installs packages, for a message or for `sh -c`. */
export const aptCommand = (packages) =>
  `apt-get install -y --no-install-recommends ${packages.join(' ')}`;

/**
 * @param {readonly string[]} packages
 * @param {(line: string) => void} log
 * @returns {boolean} whether they were installed; not where there is no apt, or no right to use it
 */
export function installWithApt(packages, log) {
  const apt = spawnSync('apt-get', ['--version']).status === 0;
  if (!apt || process.getuid?.() !== 0) return false;
  log(`installing Debian's ${packages.join(', ')} …`);
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, encoding: 'utf8' };
  const update = spawnSync('apt-get', ['update', '-qq'], options);
  const install = spawnSync('sh', ['-c', `${aptCommand(packages)} -qq`], {
    ...options,
    maxBuffer: 2 ** 26,
  });
  if (install.status === 0) return true;
  const [, reason = 'no reason given'] =
    /^E: (.*)/m.exec(`${install.stderr}\n${update.stderr}`) ?? [];
  log(`apt-get failed: ${reason}`);
  return false;
}
