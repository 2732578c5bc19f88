import { Command, InvalidArgumentError } from 'commander';
import { createApiKey, isKeyName, keyNameExpected } from '../lib/api-keys.ts';
import { runTask, withJson } from './run.ts';

/** `key create`: a key of the API, and what the service is to know of it. */
export const keyCommand = (): Command =>
  new Command('key').description('keys of the API').addCommand(
    withJson(
      new Command('create')
        .description('make a key and its entry of API_KEYS; neither is kept')
        .argument('<name>', 'who it is for, as the log will say', readName),
    ).action((name: string, flags: { json?: boolean }) =>
      runTask(flags, ({ output }) => {
        const made = createApiKey(name);
        output.result(
          { type: 'key', name, ...made },
          `The key, shown this once:  ${made.key}\nIts entry of API_KEYS:     ${made.entry}`,
        );
        return Promise.resolve(undefined);
      }),
    ),
  );

function readName(text: string): string {
  if (isKeyName(text)) return text;
  throw new InvalidArgumentError(`Expected ${keyNameExpected}.`);
}
