import { Command, InvalidArgumentError } from 'commander';
import { createApiKey, isKeyName, keyNameExpected } from '../lib/config/api-keys.ts';
import { runTask, withJson } from './run.ts';

/** `key create`: creates an API key and its entry for the service's configuration. */
export const keyCommand = (): Command =>
  new Command('key').description('manage API keys').addCommand(
    withJson(
      new Command('create')
        .description('create a key and its entry for API_KEYS; neither is stored')
        .argument('<name>', 'name of its owner, as shown in the log', readName),
    ).action((name: string, flags: { json?: boolean }) =>
      runTask(flags, ({ output }) => {
        const made = createApiKey(name);
        output.result(
          { type: 'key', name, ...made },
          `The key, shown this once:  ${made.key}\nIts entry for API_KEYS:    ${made.entry}`,
        );
        return Promise.resolve(undefined);
      }),
    ),
  );

function readName(text: string): string {
  if (isKeyName(text)) return text;
  throw new InvalidArgumentError(`Expected ${keyNameExpected}.`);
}
