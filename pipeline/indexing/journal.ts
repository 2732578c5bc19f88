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
import { AppError } from '../../lib/errors.ts';
import { replaceFile, writeAt } from '../../lib/filesystem/files.ts';

/** Why a cover has no vector. */
const skippedCover = z.object({
  /** The album's position in the metadata. */
  position: z.number().int().nonnegative(),
  albumId: z.number().int(),
  file: z.string(),
  reason: z.string(),
});

export type Skipped = z.output<typeof skippedCover>;

/** Folder of unfinished work, inside the output folder. */
const folderName = '.index-build';

/** Vectors per block when reading. */
const blockSize = 1024;

/**
 * The embeddings of an unfinished build, in an append-only file: if the process dies, at most the last batch is lost.
 * A skipped cover has a row of NaN.
 */
export class Journal {
  readonly #dir: string;
  readonly #file: FileHandle;
  readonly dimension: number;
  /** Number of positions done, a multiple of the batch size except at the end. */
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
   * Opens the journal of an interrupted run, or starts a new one.
   *
   * @param plan everything the embeddings depend on, as JSON; a journal with another plan cannot be resumed
   * @param options.batch positions per run of the model: work resumes at a whole batch, so that the result is identical
   *   bit for bit
   * @param options.total number of positions
   * @param options.resume resume an interrupted run
   * @param options.restart discard it
   * @throws AppError `assets_inconsistent` if the interrupted run had another plan, or neither `resume` nor `restart` is set
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
      await replaceFile(planPath, wanted); // last: it makes the folder valid
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

  /** Appends a batch. @param vectors one per position, `null` if skipped */
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

  /** The vectors of all covers that were not skipped, in order, in blocks. */
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

  /** Keeps the work for a later run. */
  close(): Promise<void> {
    return this.#file.close();
  }

  /** Deletes the work once it is finished. */
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

/** Which settings of two plans differ. */
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
