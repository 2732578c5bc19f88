import { isAppError } from '../lib/errors.ts';

/** Exit codes, for scripts. */
export const exitCodes = {
  done: 0,
  /** It failed; one sentence on standard error says why. */
  failed: 1,
  /** The command line is invalid. */
  usage: 2,
  /** `verify` found errors. */
  found: 3,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** The output of a command: lines for people, or JSON objects, one per line, for programs. */
export class Output {
  readonly json: boolean;
  #drawn = '';
  #lastPlain = 0;
  #started = new Map<string, { at: number; from: number }>();

  constructor(options: { json: boolean }) {
    this.json = options.json;
  }

  /** A result: standard output. For programs the event, for people the line. */
  result(event: object, line: string): void {
    this.#erase();
    process.stdout.write(`${this.json ? JSON.stringify(event) : line}\n`);
  }

  /** A problem or a hint: standard error, and for programs the event too. */
  note(event: object, line: string): void {
    this.#erase();
    if (this.json) process.stdout.write(`${JSON.stringify(event)}\n`);
    else process.stderr.write(`${line}\n`);
  }

  /**
   * Progress: a bar with rate and time left on a terminal, an occasional line elsewhere.
   *
   * @param what is being counted; the first call with it starts its clock
   */
  progress(what: string, done: number, total: number): void {
    if (this.json) {
      this.#every(1000, done === total, () => {
        process.stdout.write(`${JSON.stringify({ type: 'progress', what, done, total })}\n`);
      });
      return;
    }
    const now = performance.now();
    const started = this.#started.get(what) ?? { at: now, from: done };
    this.#started.set(what, started);
    const seconds = (now - started.at) / 1000;
    const rate = seconds > 0.5 ? (done - started.from) / seconds : undefined;
    const pace =
      rate === undefined || rate === 0
        ? ''
        : `  ${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}/s  ${done === total ? `in ${clock(seconds)}` : `${clock((total - done) / rate)} left`}`;
    const count = `${done.toLocaleString('en')} of ${total.toLocaleString('en')}`;
    if (process.stderr.isTTY) {
      this.#erase();
      this.#drawn = `${what}  ${bar(done / Math.max(1, total))}  ${count}${pace}`;
      process.stderr.write(this.#drawn);
      if (done === total) this.#finishLine();
    } else
      this.#every(5000, done === total, () => {
        process.stderr.write(`${what}: ${count}${pace}\n`);
      });
  }

  /** Keeps the drawn bar and starts a new line. */
  #finishLine(): void {
    process.stderr.write('\n');
    this.#drawn = '';
  }

  #erase(): void {
    if (this.#drawn === '') return;
    process.stderr.write(`\r${' '.repeat(this.#drawn.length)}\r`);
    this.#drawn = '';
  }

  #every(ms: number, last: boolean, write: () => void): void {
    const now = performance.now();
    if (!last && now - this.#lastPlain < ms) return;
    this.#lastPlain = now;
    write();
  }
}

const barWidth = 24;

const bar = (share: number): string => {
  const full = Math.round(barWidth * Math.min(1, share));
  return `[${'='.repeat(full)}${' '.repeat(barWidth - full)}]`;
};

/** Seconds as `1:05` or `2:03:04`. */
const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${String(h)}:${two(m)}:${two(s)}` : `${String(m)}:${two(s)}`;
};

/** `1 cover`, `25,790 covers`. @param noun with a plural in -s */
export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

/** Bytes in a readable unit: `53 MB`. */
export const bytesText = (bytes: number): string => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${units[unit] ?? ''}`;
};

/** One sentence about what went wrong, for people. */
export const reasonOf = (error: unknown): string => {
  if (isAppError(error)) return error.detail;
  if (!(error instanceof Error)) return String(error);
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  // Node also reports ENOENT if the disk is read-only and parent folders would have to be created.
  const about =
    code === 'ENOENT' && syscall === 'mkdir'
      ? 'The folder cannot be created'
      : fileReasons.get(code);
  return about === undefined ? error.message : `${about}: ${error.message}`;
};

/** Meanings of the file system's error codes. */
const fileReasons = new Map([
  ['ENOSPC', 'The disk is full'],
  ['EDQUOT', "The disk's quota is used up"],
  ['EROFS', 'The disk is read-only'],
  ['EACCES', 'Permission denied'],
  ['EPERM', 'Permission denied'],
  ['ENOTDIR', 'A file is where a folder should be'],
  ['EEXIST', 'A file is where a folder should be'],
  ['EISDIR', 'A folder is where a file should be'],
  ['ENOENT', 'No such file or folder'],
]);
