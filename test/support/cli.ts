import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root, starter } from './requests.ts';

/** A running command-line program. */
export interface CliProcess {
  child: ChildProcess;
  output: () => string;
  errors: () => string;
  /** Resolves with the exit status; `null` if a signal ended the process. */
  ended: Promise<number | null>;
}

/** Starts the built program. @param env variables in addition to those that locate the starter set */
export function startCli(args: readonly string[], env: Record<string, string> = {}): CliProcess {
  const child = spawn(process.execPath, [join(root, 'dist', 'cli', 'shazam-visual.cjs'), ...args], {
    cwd: root,
    env: { PATH: process.env['PATH'], STARTER_DIR: starter.clipDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = once(child, 'close').then(() => child.exitCode);
  return { child, output: () => output, errors: () => errors, ended };
}

/** Runs the built program to its end. */
export async function cli(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ status: number | null; output: string; errors: string }> {
  const running = startCli(args, env);
  const status = await running.ended;
  return { status, output: running.output(), errors: running.errors() };
}

/** The events of a run with `--json`. */
export const eventsOf = (output: string): Record<string, unknown>[] =>
  output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
