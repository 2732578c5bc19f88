import {
  mkdir,
  open,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { AppError } from '../errors.ts';
import { replaceFile, writeAt } from '../files.ts';

/** Why a cover has no vector. */
const skippedCover = z.object({
  /** Place of the album in the metadata. */
  position: z.number().int().nonnegative(),
  albumId: z.number().int(),
  file: z.string(),
  reason: z.string(),
});

export type Skipped = z.output<typeof skippedCover>;

/** Where the work of a build lies until it is done, in the folder that the result goes to. */
const folderName = '.index-build';

/** Vectors read from the file at a time. */
const blockSize = 1024;

/**
 * The embeddings of a build that is not done, in a file that only grows: whatever ends the process, at most
 * the last batch is lost. A cover that was skipped has a row of NaN.
 */
export class Journal {
  readonly #dir: string;
  readonly #file: FileHandle;
  readonly dimension: number;
  /** Positions done, from the first of the plan on: a multiple of the batch but at the end. */
  done: number;
  readonly skipped: Skipped[];

  private constructor(
    dir: string,
    file: FileHandle,
    dimension: number,
    done: number,
    skipped: Skipped[],
  ) {
    this.#dir = dir;
    this.#file = file;
    this.dimension = dimension;
    this.done = done;
    this.skipped = skipped;
  }

  /**
   * Opens what an interrupted run left, or starts a new journal.
   *
   * @param plan what the result follows from, as JSON; another plan's work can't be continued
   * @param options.batch positions that are embedded together: work goes on at a whole batch, so that the
   *   result is the same to the last bit
   * @param options.total positions in all
   * @param options.resume go on where an earlier run ended
   * @param options.restart throw away what it left
   * @throws AppError `assets_inconsistent` where what is there was begun with another plan, or is there and neither is said
   */
  static async open(
    outDir: string,
    plan: Record<string, unknown>,
    options: { dimension: number; batch: number; total: number; resume: boolean; restart: boolean },
  ): Promise<Journal> {
    const { dimension, batch, total, resume, restart } = options;
    const dir = join(outDir, folderName);
    const planPath = join(dir, 'plan.json');
    const vectorsPath = join(dir, 'vectors.f32');
    const skippedPath = join(dir, 'skipped.jsonl');
    const wanted = JSON.stringify(plan, null, 2);
    const found = restart ? null : await readFile(planPath, 'utf8').catch(() => null);
    const left = (await stat(vectorsPath).catch(() => null))?.size ?? 0;
    if (found !== null && !resume && left > 0)
      throw new AppError(
        'assets_inconsistent',
        `Work was interrupted in ${outDir} after ${String(Math.floor(left / (4 * dimension)))} covers: continue with --resume, or start over with --restart.`,
      );
    const begun = resume ? found : null;
    if (begun !== null && begun !== wanted)
      throw new AppError(
        'assets_inconsistent',
        `The interrupted work in ${dir} was started with other settings (${difference(begun, plan)}): start over with --restart.`,
      );
    if (begun === null) {
      await rm(dir, { recursive: true, force: true });
      await mkdir(dir, { recursive: true });
      await writeFile(vectorsPath, '');
      await writeFile(skippedPath, '');
      await replaceFile(planPath, wanted); // last: with it the folder counts
    }
    const file = await open(vectorsPath, 'r+');
    try {
      const bytes = (await file.stat()).size;
      const rows = Math.floor(bytes / (4 * dimension));
      const done = rows >= total ? total : rows - (rows % batch);
      await truncate(vectorsPath, done * 4 * dimension);
      const lines = await readFile(skippedPath, 'utf8');
      const skipped = lines
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => readSkipped(line, skippedPath))
        .filter(({ position }) => position < done);
      const kept = skipped.map(asLine).join('');
      if (kept !== lines) await replaceFile(skippedPath, kept);
      return new Journal(dir, file, dimension, done, skipped);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Adds a batch.
   *
   * @param vectors one for each position, `null` for one that is skipped
   */
  async append(
    vectors: readonly (Float32Array | null)[],
    skipped: readonly Skipped[],
  ): Promise<void> {
    if (skipped.length > 0) {
      await writeFile(join(this.#dir, 'skipped.jsonl'), skipped.map(asLine).join(''), {
        flag: 'a',
      });
      this.skipped.push(...skipped);
    }
    const rows = new Float32Array(vectors.length * this.dimension).fill(NaN);
    for (const [i, vector] of vectors.entries()) if (vector) rows.set(vector, i * this.dimension);
    const bytes = Buffer.from(rows.buffer);
    await writeAt(this.#file, bytes, this.done * 4 * this.dimension);
    this.done += vectors.length;
  }

  /** The vectors of those that were not skipped, in order, in blocks. */
  async *vectors(): AsyncGenerator<Float32Array> {
    const width = this.dimension;
    for (let from = 0; from < this.done; from += blockSize) {
      const count = Math.min(blockSize, this.done - from);
      const block = new Float32Array(count * width);
      const bytes = Buffer.from(block.buffer);
      await this.#file.read(bytes, 0, bytes.length, from * 4 * width);
      let kept = 0;
      for (let row = 0; row < count; row += 1) {
        if (Number.isNaN(block[row * width])) continue;
        block.copyWithin(kept * width, row * width, (row + 1) * width);
        kept += 1;
      }
      if (kept > 0) yield block.subarray(0, kept * width);
    }
  }

  /** Leaves the work for a later run. */
  close(): Promise<void> {
    return this.#file.close();
  }

  /** Throws the work away: it is done. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

const asLine = (skipped: Skipped): string => `${JSON.stringify(skipped)}\n`;

function readSkipped(line: string, path: string): Skipped {
  try {
    return skippedCover.parse(JSON.parse(line));
  } catch (cause) {
    throw new AppError('assets_inconsistent', `${path} is damaged: start over with --restart.`, {
      cause,
    });
  }
}

/** Which parts of two plans are not the same. */
function difference(begun: string, plan: Record<string, unknown>): string {
  try {
    const other = JSON.parse(begun) as Record<string, unknown>;
    const keys = Object.keys(plan).filter(
      (key) => JSON.stringify(plan[key]) !== JSON.stringify(other[key]),
    );
    return `another ${keys.join(', ')}`;
  } catch {
    return 'its plan cannot be read';
  }
}
