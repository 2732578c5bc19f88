import { open } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import type { PictureFeatures } from './features.ts';

/**
 * The features of all covers of a set, in lists of similar codes (an inverted file):
 *
 * | part    | bytes                                                                                     |
 * | ------- | ----------------------------------------------------------------------------------------- |
 * | head    | 64: `SVFEATS`, 0; version, covers, lists, 0 (32 bits each); features (64 bits); zeros     |
 * | sizes   | 8 per cover: width and height in pixels (16 bits each), number of features (32 bits)      |
 * | starts  | 8 per list: its first feature; plus one entry for the end of the last list                |
 * | centres | 32 per list: the code that its codes are nearest to                                       |
 * | codes   | 32 per feature, list by list                                                              |
 * | rows    | 4 per feature: the row of its cover                                                       |
 * | places  | 6 per feature: its position on the cover (`Features`)                                     |
 *
 * All numbers are little-endian. The version changes when codes are computed differently.
 */
export interface FeatureFileHead {
  covers: number;
  lists: number;
  features: number;
}

const magic = Buffer.from('SVFEATS\0', 'latin1');
const version = 1;
const headBytes = 64;

/** Offsets of the parts in bytes, and the file's end. */
export function layoutOf({ covers, lists, features }: FeatureFileHead) {
  const sizes = headBytes;
  const starts = sizes + 8 * covers;
  const centres = starts + 8 * (lists + 1);
  const codes = centres + 32 * lists;
  const rows = codes + 32 * features;
  const places = rows + 4 * features;
  return { sizes, starts, centres, codes, rows, places, end: places + 6 * features };
}

/** The part of this name, as bytes. */
export function headOf({ covers, lists, features }: FeatureFileHead): Buffer {
  const head = Buffer.alloc(headBytes);
  magic.copy(head);
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(covers, 12);
  head.writeUInt32LE(lists, 16);
  head.writeBigUInt64LE(BigInt(features), 24);
  return head;
}

/** @param why the file is refused: a clause without a full stop */
export const unreadableFeatures = (path: string, why: string, cause?: unknown): AppError =>
  new AppError('index_unreadable', `${path} is not a readable feature file: ${why}.`, { cause });

/**
 * @throws AppError `index_unreadable`: one sentence that names the file
 * @throws the file system's error if it cannot be read
 */
export async function readHead(path: string): Promise<FeatureFileHead> {
  const refuse = (why: string) => unreadableFeatures(path, why);
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(headBytes);
    const { bytesRead } = await file.read(bytes, 0, headBytes, 0);
    if (bytesRead < headBytes || !bytes.subarray(0, magic.length).equals(magic))
      throw refuse('it does not start like one');
    if (bytes.readUInt32LE(8) !== version)
      throw refuse(
        `it is of version ${String(bytes.readUInt32LE(8))}, but ${String(version)} is expected: create it again with index features`,
      );
    const head = {
      covers: bytes.readUInt32LE(12),
      lists: bytes.readUInt32LE(16),
      features: Number(bytes.readBigUInt64LE(24)),
    };
    const { end } = layoutOf(head);
    if (size !== end)
      throw refuse(`it has ${String(size)} bytes but its header implies ${String(end)}`);
    return head;
  } finally {
    await file.close();
  }
}

/** Features of a cover; if read from a feature file, also the list of each. */
export interface CoverFeatures extends PictureFeatures {
  lists?: Uint32Array;
}

/** Bytes from the addon as 32-bit numbers. */
export const numbersIn = (bytes: Uint8Array): Uint32Array =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
