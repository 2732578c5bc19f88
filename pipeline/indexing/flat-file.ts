import { open } from 'node:fs/promises';
import { AppError } from '../../lib/errors.ts';
import { writeAt } from '../../lib/filesystem/files.ts';
import { readFaissHeader } from '../../lib/vectors/file-header.ts';

/** `faiss/impl/index_write.cpp`: `write_index_header` writes this to two fields that are no longer used. */
const unused = 1n << 20n;

/** Where the floats begin, in bytes: fourcc 4, dimension 4, ntotal 8, unused 16, trained 1, metric 4, count 8. */
const headBytes = 45;

/**
 * Writes a flat inner-product index as FAISS does, without holding its vectors in memory.
 *
 * @param size number of vectors
 * @param vectors blocks of n × dimension floats, `size` vectors in all
 * @throws RangeError if the number of vectors is not `size`; the file system's error, e.g. ENOSPC
 */
export async function writeFlatIndex(
  path: string,
  { dimension, size }: { dimension: number; size: number },
  vectors: AsyncIterable<Float32Array>,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    const head = Buffer.alloc(headBytes);
    head.write('IxFI', 'latin1');
    head.writeInt32LE(dimension, 4);
    head.writeBigInt64LE(BigInt(size), 8);
    head.writeBigInt64LE(unused, 16);
    head.writeBigInt64LE(unused, 24);
    head.writeUInt8(1, 32); // trained
    head.writeInt32LE(0, 33); // inner product
    head.writeBigInt64LE(BigInt(size * dimension), 37);
    await writeAt(file, head, null);
    let written = 0;
    for await (const block of vectors) {
      const bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
      await writeAt(file, bytes, null);
      written += block.length / dimension;
    }
    if (written !== size)
      throw new RangeError(`Expected ${String(size)} vectors but received ${String(written)}.`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Vectors read at a time. */
const blockSize = 1024;

/**
 * Reads the vectors of a flat index, without holding them all in memory.
 *
 * @returns blocks of n × dimension floats
 * @throws AppError `index_unreadable` if the file is not a flat inner-product index, or is truncated
 */
export async function* readFlatIndex(path: string): AsyncGenerator<Float32Array> {
  const header = await readFaissHeader(path);
  if (header?.fourcc !== 'IxFI' || header.bytes !== header.expectedBytes)
    throw new AppError('index_unreadable', `${path} is not a whole flat inner-product index.`);
  const { dimension, size } = header;
  const file = await open(path);
  try {
    for (let from = 0; from < size; from += blockSize) {
      const block = new Float32Array(Math.min(blockSize, size - from) * dimension);
      const bytes = Buffer.from(block.buffer);
      await file.read(bytes, 0, bytes.length, headBytes + from * dimension * 4);
      yield block;
    }
  } finally {
    await file.close();
  }
}
