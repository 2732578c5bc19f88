import { open } from 'node:fs/promises';
import {
  layoutOf,
  numbersIn,
  readHead,
  unreadableFeatures,
  type CoverFeatures,
} from './feature-file.ts';
import { fewestFeatures, type PictureFeatures } from './features.ts';
import { native, type MappedFeatures, type Sighting, type SightingOptions } from './native.ts';

/** Covers read from the file at a time. */
const blockSize = 1024;

/** The features of a set's covers, stored in `album_covers.features`: memory-mapped, so it is read on demand. */
export class FeatureIndex {
  readonly #file: MappedFeatures;
  /** 8 bytes per cover: width, height, number of features. */
  readonly #sizes: Buffer;
  /** 32 bytes per list; features added later go into the same lists. */
  readonly centres: Uint8Array;

  private constructor(file: MappedFeatures, sizes: Buffer, centres: Uint8Array) {
    this.#file = file;
    this.#sizes = sizes;
    this.centres = centres;
  }

  /**
   * @throws AppError `index_unreadable` if it is damaged or the addon is not built: one sentence
   * @throws the file system's error if it cannot be read
   */
  static async open(path: string): Promise<FeatureIndex> {
    const head = await readHead(path);
    const { sizes, starts, centres, codes, rows, places } = layoutOf(head);
    const { FeatureFile } = native();
    try {
      const file = new FeatureFile(path, head, [sizes, starts, centres, codes, rows, places]);
      const front = Buffer.alloc(codes);
      const handle = await open(path);
      await handle.read(front, 0, codes, 0).finally(() => handle.close());
      return new FeatureIndex(file, front.subarray(sizes, starts), front.subarray(centres));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'unknown error';
      throw unreadableFeatures(path, why.replace(/\.$/, ''), cause);
    }
  }

  /** Number of covers, including plain ones. */
  get size(): number {
    return this.#sizes.length / 8;
  }

  /** Number of features of a cover. */
  featuresAt(row: number): number {
    return this.#sizes.readUInt32LE(8 * row + 4);
  }

  /** Whether a cover has enough features to be identified in a photo. */
  isIdentifiable(row: number): boolean {
    return this.featuresAt(row) >= fewestFeatures;
  }

  /**
   * Covers found in a photo, in no particular order; several may be at the same place.
   *
   * @param rows covers that are checked whatever their votes
   */
  async sightings(
    photo: PictureFeatures,
    options: SightingOptions,
    rows: readonly number[] = [],
  ): Promise<Sighting[]> {
    const besides = new Uint8Array(Uint32Array.from(rows).buffer);
    const found = await this.#file.identify(photo, photo.width, photo.height, options, besides);
    return found.filter(({ row }) => this.isIdentifiable(row));
  }

  /** The features of all covers in row order, e.g. to write them again with covers removed or added. */
  async *covers(): AsyncGenerator<CoverFeatures> {
    for (let from = 0; from < this.size; from += blockSize) {
      const to = Math.min(from + blockSize, this.size);
      const { codes, places, lists } = await this.#file.covers(from, to);
      const numbers = numbersIn(lists);
      for (let row = from, at = 0; row < to; row += 1) {
        const end = at + this.featuresAt(row);
        yield {
          width: this.#sizes.readUInt16LE(8 * row),
          height: this.#sizes.readUInt16LE(8 * row + 2),
          codes: codes.slice(at * 32, end * 32),
          places: places.slice(at * 6, end * 6),
          lists: numbers.slice(at, end),
        };
        at = end;
      }
    }
  }

  /** Unmaps the file once running identifications are done. No other method may be called afterwards. */
  close(): void {
    this.#file.close();
  }
}
