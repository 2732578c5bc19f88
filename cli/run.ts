import { setMaxListeners } from 'node:events';
import { InvalidArgumentError, type Command } from 'commander';
import { isAppError } from '../lib/errors.ts';
import { exitCodes, Output, reasonOf } from './output.ts';

/** What a command's work receives. */
export interface Task {
  output: Output;
  /** Aborted by the first Ctrl-C: the work stops at the next safe point. */
  signal: AbortSignal;
}

/**
 * Runs a command's work. Exit codes, one-sentence errors and Ctrl-C are handled the same way for all commands.
 *
 * @param work resolves with the exit code; `undefined`: success
 */
export async function runTask(
  options: { json?: boolean },
  work: (task: Task) => Promise<number | undefined>,
): Promise<void> {
  const output = new Output({ json: options.json === true });
  const interrupt = new AbortController();
  setMaxListeners(0, interrupt.signal); // each request in flight adds a listener
  const onInterrupt = () => {
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted); // the second Ctrl-C
    interrupt.abort(new Interrupted());
    output.note(
      { type: 'interrupted' },
      'Stopping at a safe point; press Ctrl-C again to stop at once.',
    );
  };
  process.on('SIGINT', onInterrupt);
  try {
    process.exitCode = (await work({ output, signal: interrupt.signal })) ?? exitCodes.done;
  } catch (error) {
    if (error instanceof Interrupted) {
      process.exitCode = exitCodes.interrupted;
      return;
    }
    const code = isAppError(error) ? error.code : 'failed';
    output.note({ type: 'error', code, message: reasonOf(error) }, `Error: ${reasonOf(error)}`);
    process.exitCode = exitCodes.failed;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

/** The abort reason after Ctrl-C. */
class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

/** Adds the option that every command has. */
export const withJson = (command: Command): Command =>
  command.option('--json', 'one JSON object per line, for programs');

/** A whole number of at least `least`, for commander. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${String(least)}.`);
  };

/** A number within a range, for commander. */
export const numberWithin =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a number from ${String(least)} to ${String(most)}.`);
  };
