import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import { AppError } from '../errors.ts';
import { workerFile } from '../concurrency/worker-file.ts';
import type { Size } from './geometry.ts';
import type { HeicAnswer, HeicTask } from './heic-worker.ts';
import { tooLarge, unreadable } from './refusal.ts';

/**
 * Limits concurrent decodes. A picture of 12 megapixels, as from an iPhone, takes 1.5 s and 160 MB, one of 63
 * megapixels 3.4 s and 620 MB (docs/pictures.md).
 */
const atATime = pLimit(1);

/** Time limit for one picture, in milliseconds: several times what the largest takes. */
const defaultTimeLimit = 15_000;

/**
 * Decodes a HEIC photo, which sharp's build of libvips cannot: HEVC is patented. Each gets its own thread, which
 * contains the failures of the decoder, can be terminated, and frees its memory.
 *
 * @param maxPixels largest picture to decode, in pixels
 * @param timeLimit in milliseconds
 * @returns RGB, 3 bytes per pixel, top row first, upright as the file specifies
 * @throws AppError `image_too_large` or `unreadable_image`
 */
export const decodeHeic = (
  bytes: Buffer,
  maxPixels: number,
  timeLimit = defaultTimeLimit,
): Promise<{ rgb: Buffer } & Size> =>
  atATime(async () => {
    const answer = await askWorker({ bytes, maxPixels }, timeLimit);
    if (answer.type === 'too-large') throw tooLarge(answer, maxPixels);
    if (answer.type === 'unreadable') throw unreadable('heic', new Error(answer.reason));
    const { rgb, width, height } = answer;
    return { rgb: Buffer.from(rgb.buffer), width, height };
  });

async function askWorker(task: HeicTask, timeLimit: number): Promise<HeicAnswer> {
  const worker = new Worker(workerFile('heic-worker'), { workerData: task });
  try {
    // An error of the thread itself, e.g. a missing bundle, rejects this.
    const [answer] = (await once(worker, 'message', {
      signal: AbortSignal.timeout(timeLimit),
    })) as [HeicAnswer];
    return answer;
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error;
    throw new AppError(
      'unreadable_image',
      `The HEIC picture takes longer than ${String(timeLimit / 1000)} s to decode: save it as a JPEG and send that.`,
      { cause: error },
    );
  } finally {
    await worker.terminate();
  }
}
