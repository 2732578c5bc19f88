import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { callWithin } from './support/time-limit.ts';

/** Changes daily, so that the inputs vary; printed so that a failure can be reproduced. */
const seed = Math.floor(Date.now() / 86_400_000);

/** Time limit for a reader that hangs; all of them together take seconds. */
const longMs = 120_000;
const modelDir = fileURLToPath(new URL('fixtures/clip/model', import.meta.url));

describe(`every reader finishes on any input (seed ${String(seed)})`, () => {
  for (const [reader, ...parameters] of [
    ['sniffing'],
    ['decoding'],
    ['uploads'],
    ['csv'],
    ['metadata'],
    ['rows'],
    ['genres'],
    ['parameters'],
    ['environment'],
    ['indexes'],
    ['queries', modelDir],
    ['manifests'],
    ['hub'],
    ['s3'],
  ])
    test(String(reader), async () => {
      const isServer = ['hub', 's3'].includes(String(reader));
      const { tried } = await callWithin<{ tried: number }>(
        longMs,
        isServer ? 'test/support/hostile-servers.ts' : 'test/support/hostile.ts',
        String(reader),
        seed,
        ...parameters,
      );
      assert.ok(tried > (isServer ? 40 : 200), String(tried));
    });
});

describe('ESLint rejects regular expressions that take more than linear time', () => {
  const eslint = new ESLint({ cwd: fileURLToPath(new URL('..', import.meta.url)) });
  for (const [what, expression] of [
    [
      'the one that stopped the service',
      String.raw`/^\s*(?:<\?xml[^>]*>|<!--[\s\S]*?-->|\s)*<svg[\s>]/i`,
    ],
    ['nested repetition', '/^(a+)+$/'],
    ['overlapping quantifiers', String.raw`/^(\d+\.?\d*)$/`],
    ['a match retried at every character', String.raw`/\/+$/`],
  ])
    test(String(what), async () => {
      const [result] = await eslint.lintText(
        `export const found = ${String(expression)}.test('x');\n`,
        {
          filePath: 'lib/version.ts',
        },
      );
      assert.match(
        result?.messages.map(({ ruleId }) => ruleId).join() ?? '',
        /regexp\/no-super-linear/,
      );
    });
});
