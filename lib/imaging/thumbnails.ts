import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { shrinkCover } from './raster.ts';

/** Allowed edges of a thumbnail in pixels: for a list, a grid, and a grid on a high-density display. */
export const thumbnailSizes = [160, 320, 640] as const;
export type ThumbnailSize = (typeof thumbnailSizes)[number];

export type ThumbnailFormat = 'avif' | 'webp' | 'jpeg';

/** Size of the thumbnail cache in bytes: about 4,000 thumbnails of 320 pixels. */
const keptBytes = 48 * 2 ** 20;

/** Covers shrunk concurrently; searches decode on the same threads. */
const atATime = 2;

/** Thumbnails of covers, created on request and cached while there is room. */
export class Thumbnails {
  readonly #kept = new LRUCache<string, Buffer>({
    maxSize: keptBytes,
    sizeCalculation: (bytes) => bytes.length,
  });
  readonly #making = new Map<string, Promise<Buffer>>();
  readonly #limit = pLimit(atATime);

  /**
   * @param key identifies this version of this cover
   * @param read returns the cover's bytes; called only if the thumbnail is not cached
   * @throws AppError as {@link shrinkCover}
   */
  get(
    key: string,
    { size, format }: { size: ThumbnailSize; format: ThumbnailFormat },
    read: () => Promise<Buffer>,
  ): Promise<Buffer> {
    const name = `${key} ${String(size)} ${format}`;
    const kept = this.#kept.get(name);
    if (kept) return Promise.resolve(kept);
    const made =
      this.#making.get(name) ??
      this.#limit(async () => {
        const thumbnail = await shrinkCover(await read(), size, format);
        this.#kept.set(name, thumbnail);
        return thumbnail;
      }).finally(() => this.#making.delete(name));
    this.#making.set(name, made);
    return made;
  }
}
