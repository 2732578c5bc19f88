// Lists the tests that Node's test runner skipped, and exits with 1 if a skip was avoidable.
// usage: node .ci/skips.mjs OUTPUT …     (what the runner printed, as TAP or as its own report)
import { readFileSync } from 'node:fs';

/** Reasons that CI accepts, for what is not available there. */
const allowed = new Map([
  [
    '../shared/reference is missing',
    'the whole reference is too large for the repository; its part in test/fixtures is checked',
  ],
]);

const line =
  /^\s*(?:ok \d+ - (?<tap>.+?) # SKIP(?: (?<why>.+))?|﹣ (?<spec>.+?) \([\d.]+ms\) # (?<reason>.+))$/;

const skipped = process.argv
  .slice(2)
  .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
  .flatMap((text) => {
    const { tap, why, spec, reason } = line.exec(text)?.groups ?? {};
    const name = tap ?? spec;
    return name === undefined ? [] : [{ name, reason: why ?? reason ?? 'no reason given' }];
  });

const wrong = skipped.filter(({ reason }) => !allowed.has(reason));
for (const { name, reason } of skipped) console.log(`skipped: ${name} (${reason})`);
if (wrong.length > 0) {
  console.log(
    `avoidable skips: ${wrong.length}. Install what they need, or allow the reason in .ci/skips.mjs.`,
  );
  process.exitCode = 1;
} else console.log('no avoidable skips');
