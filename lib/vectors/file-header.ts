import { open } from 'node:fs/promises';

/** What the first bytes of a FAISS file say. */
export interface FaissHeader {
  /** FAISS's four letters for the type, e.g. `IxFI`. */
  fourcc: string;
  dimension: number;
  /** Number of vectors. */
  size: number;
  metric: Metric;
  /** How long the file must be, in bytes, where its type tells. */
  expectedBytes: number | undefined;
  bytes: number;
}

export type Metric = 'inner_product' | 'l2';

/** Types that people meet, by the four letters of `faiss/impl/index_write.cpp`. */
const typeNames: Readonly<Record<string, string>> = {
  IxFI: 'Flat',
  IxF2: 'Flat',
  IxFl: 'Flat',
  IxSQ: 'SQ',
  IHNf: 'HNSW',
  IHNs: 'HNSW,SQ',
  IwFl: 'IVF',
  IwSq: 'IVF,SQ',
  IwPQ: 'IVF,PQ',
  IxPq: 'PQ',
};

/** A readable name of the type. */
export const typeName = (fourcc: string): string => typeNames[fourcc] ?? fourcc;

/** fourcc 4, dimension 4, ntotal 8, two unused fields of 8, is_trained 1, metric 4; little-endian. */
const headerBytes = 37;
/** A flat index goes on with the number of its floats (8), and the floats. */
const flatDataOffset = headerBytes + 8;

/**
 * Reads the part that every FAISS file begins with, before FAISS itself is let near it: it would believe
 * any length that a damaged file claims.
 *
 * @returns `null` where the file does not begin as a FAISS index does
 * @throws the file system's error where it can not be read
 */
export async function readFaissHeader(path: string): Promise<FaissHeader | null> {
  const file = await open(path);
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size < headerBytes) return null;
    const head = Buffer.alloc(headerBytes);
    await file.read(head, 0, headerBytes, 0);
    const fourcc = head.toString('latin1', 0, 4);
    const dimension = head.readInt32LE(4);
    const size = Number(head.readBigInt64LE(8));
    const metric = head.readInt32LE(33);
    if (!/^I[A-Za-z0-9]{3}$/.test(fourcc) || dimension < 1 || dimension > 1_000_000) return null;
    if (size < 0 || size > 2 ** 31 || metric < 0 || metric > 1) return null;
    return {
      fourcc,
      dimension,
      size,
      metric: metric === 0 ? 'inner_product' : 'l2',
      expectedBytes:
        typeName(fourcc) === 'Flat' ? flatDataOffset + 4 * size * dimension : undefined,
      bytes: stats.size,
    };
  } finally {
    await file.close();
  }
}
