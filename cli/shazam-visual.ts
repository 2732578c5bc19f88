import { Command, CommanderError } from 'commander';
import { loadConfig } from '../lib/config/config.ts';
import { name, version } from '../lib/version.ts';
import { importCommand } from './import-command.ts';
import { indexCommand } from './index-command.ts';
import { keyCommand } from './key-command.ts';
import { exitCodes, reasonOf } from './output.ts';
import { pullCommand } from './pull-command.ts';
import { pushCommand } from './push-command.ts';
import { searchCommand } from './search-command.ts';
import { verifyCommand } from './verify-command.ts';

/** The command-line program: parses, draws progress, sets exit codes. The work is in `lib/`. */
async function main(): Promise<void> {
  const config = loadConfig();
  const program = new Command(name)
    .description('Build, check, download and upload the data of the service.')
    .version(version)
    .showHelpAfterError('(see --help)')
    .addCommand(indexCommand(config))
    .addCommand(verifyCommand(config))
    .addCommand(searchCommand(config))
    .addCommand(importCommand())
    .addCommand(pullCommand(config))
    .addCommand(pushCommand(config))
    .addCommand(keyCommand());
  forEachCommand(program, (command) => {
    command.exitOverride();
  });
  await program.parseAsync();
}

const forEachCommand = (command: Command, act: (command: Command) => void): void => {
  act(command);
  for (const one of command.commands) forEachCommand(one, act);
};

main().catch((error: unknown) => {
  // Commander has already reported the error; --help and --version also end up here, with 0.
  if (error instanceof CommanderError)
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  else {
    console.error(`Error: ${reasonOf(error)}`);
    process.exitCode = exitCodes.failed;
  }
});
