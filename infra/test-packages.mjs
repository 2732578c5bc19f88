// Programs that some tests need beside the service's own: installed where this may, else those tests are skipped.
import { spawnSync } from 'node:child_process';
import { installWithApt } from './apt.mjs';

/** By the tests that need them. */
export const testPrograms = {
  storage: {
    what: 'an S3 server (Ceph)',
    programs: ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-mgr'],
    packages: ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-mgr'],
  },
  browser: {
    what: 'a browser (Chromium)',
    programs: ['chromium'],
    packages: ['chromium'],
  },
  image: {
    what: 'a builder of images without an engine',
    programs: ['buildah', 'debootstrap'],
    packages: ['buildah', 'crun', 'debootstrap'],
  },
};

const isHere = (program) => !spawnSync(program, ['--version'], { stdio: 'ignore' }).error;

/**
 * @param {readonly (keyof typeof testPrograms)[]} tests
 * @param {(line: string) => void} log
 */
export function installTestPrograms(tests, log) {
  const missing = tests.filter((name) => !testPrograms[name].programs.every(isHere));
  if (missing.length === 0) return;
  installWithApt(
    missing.flatMap((name) => testPrograms[name].packages),
    log,
  );
  for (const name of missing)
    if (!testPrograms[name].programs.every(isHere))
      log(`without ${testPrograms[name].what}, the tests that need it are skipped`);
}

/** @param {readonly (keyof typeof testPrograms)[]} tests */
export const haveTestPrograms = (tests) =>
  tests.every((name) => testPrograms[name].programs.every(isHere));
