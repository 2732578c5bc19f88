import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from './support/requests.ts';

const file = `
import { describe, test } from 'node:test';
const skip = process.argv[2] ?? '../shared/reference is missing';
describe('a whole suite', { skip }, () => test('within', () => {}));
describe('a suite', () => test('a # test in it', (context) => context.skip(skip)));
test('one that runs and is called # SKIP', () => {});
`;

describe('CI allows no avoidable skips', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'skips-'));
    await writeFile(join(folder, 'skips.test.mjs'), file);
  });
  after(() => rm(folder, { recursive: true }));

  /** Result of CI's check of a run in which tests are skipped for a reason. */
  const judge = async (reporter: string, reason?: string) => {
    const node = (...args: string[]) =>
      spawnSync(process.execPath, args, { encoding: 'utf8', env: {} });
    const tests = node(
      `--test-reporter=${reporter}`,
      join(folder, 'skips.test.mjs'),
      ...(reason === undefined ? [] : [reason]),
    );
    assert.equal(tests.status, 0, tests.stderr);
    await writeFile(join(folder, 'output'), tests.stdout);
    const { status, stdout } = node(join(root, '.ci', 'skips.mjs'), join(folder, 'output'));
    return { status, said: stdout.split('\n') };
  };

  for (const reporter of ['tap', 'spec']) {
    test(`a suite and a test that lack a program are listed and fail the check (${reporter})`, async () => {
      const { status, said } = await judge(reporter, 'no browser');
      assert.equal(status, 1);
      assert.deepEqual(said.map((line) => line.replace('\\#', '#')).slice(0, 2), [
        'skipped: a whole suite (no browser)',
        'skipped: a # test in it (no browser)',
      ]);
      assert.match(said[2] ?? '', /^avoidable skips: 2\. Install /);
    });

    test(`what is never available in CI is listed and passes the check (${reporter})`, async () => {
      const { status, said } = await judge(reporter);
      assert.equal(status, 0);
      assert.equal(said.filter((line) => line.startsWith('skipped: ')).length, 2);
    });
  }
});
