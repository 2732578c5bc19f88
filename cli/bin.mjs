#!/usr/bin/env node
// The package's command: sets the project up if that has not been done, then runs the bundled program.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = new URL('../dist/cli/shazam-visual.cjs', import.meta.url);

if (!existsSync(program)) {
  const bootstrap = fileURLToPath(new URL('../infra/bootstrap.mjs', import.meta.url));
  // The set-up's output goes to standard error: standard output is for the command.
  const { status } = spawnSync(process.execPath, [bootstrap], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}
await import(program.href);
