// Programs that some tests need beside the service's own: installed where this may, else those tests are skipped.
import { spawnSync } from 'node:child_process';
import { installWithApt } from './apt.mjs';

/** By the tests that need them; it is here where each command ends with 0. */
export const testPrograms = {
  storage: {
    what: 'an S3 server (Ceph)',
    commands: [
      'radosgw --version',
      'ceph-mon --version',
      'ceph-osd --version',
      'ceph-mgr --version',
    ],
    packages: ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-mgr'],
  },
  browser: {
    what: 'a browser (Chromium)',
    commands: ['chromium --version'],
    packages: ['chromium'],
  },
  image: {
    what: 'a builder of images without an engine',
    commands: ['buildah --version', 'debootstrap --version'],
    packages: ['buildah', 'crun', 'debootstrap'],
  },
  onnx: {
    what: "Python's onnx",
    commands: ['/usr/bin/python3 -c "import onnx"'],
    packages: ['python3-onnx'],
  },
};

const areHere = (name) =>
  testPrograms[name].commands.every(
    (command) => spawnSync(command, { shell: true, stdio: 'ignore' }).status === 0,
  );

/**
 * @param {readonly (keyof typeof testPrograms)[]} tests
 * @param {(line: string) => void} log
 */
export function installTestPrograms(tests, log) {
  const missing = tests.filter((name) => !areHere(name));
  if (missing.length === 0) return;
  installWithApt(
    missing.flatMap((name) => testPrograms[name].packages),
    log,
  );
  for (const name of missing)
    if (!areHere(name))
      log(`without ${testPrograms[name].what}, the tests that need it are skipped`);
}
