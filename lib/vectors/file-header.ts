import { open } from 'node:fs/promises';

/** In the order of faiss/MetricType.h. */
const metrics = ['inner_product', 'l2'] as const;
export type Metric = (typeof metrics)[number];

/** Common index types, by the four letters of `faiss/impl/index_write.cpp`. */
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
  IHNp: 'HNSW,PQ',
  IxPT: 'PreTransform',
  IxRF: 'Refine',
  IxMp: 'IDMap',
  IxM2: 'IDMap2',
};

const save = 'save the index with faiss.write_index';
const addToFlat = 'to a faiss.IndexFlatIP and save that with faiss.write_index';

/** Other kinds of files that are mistaken for an index, by their first bytes (latin-1). */
const otherFiles: readonly (readonly [RegExp, string])[] = [
  [
    /^IB/,
    'it is a binary index of FAISS (of bits, for Hamming distances), which holds no embeddings',
  ],
  [/^\x93NUMPY/, `it is an array of NumPy (.npy): add it ${addToFlat}`],
  [/^\x80[\x02-\x05]/, `it is a pickle of Python: ${save}`],
  [/^PK\x03\x04/, `it is a ZIP archive (.npz and PyTorch files are such): ${save}`],
  [/^.{8}\{"/s, `it is a safetensors file: add its vectors ${addToFlat}`],
  [/^\x1f\x8b/, 'it is compressed with gzip: unpack it'],
  [/^\x28\xb5\x2f\xfd/, 'it is compressed with zstd: unpack it'],
  [/^version https:\/\/git-lfs/, 'it is a Git LFS pointer: fetch the file with git lfs pull'],
  [/^\s*[[{]/, 'it is JSON'],
];

/** The metrics of faiss/MetricType.h that are not a cosine even for unit vectors. */
const metricNames: Readonly<Record<number, string>> = {
  2: 'L1',
  3: 'Linf',
  4: 'Lp',
  20: 'Canberra',
  21: 'Bray-Curtis',
  22: 'Jensen-Shannon',
  23: 'Jaccard',
};

/** Explains why a file is not an index. Completes the sentence that starts with "is not a readable FAISS index:". */
export async function whatFileIs(path: string): Promise<string> {
  const { head } = await readHead(path);
  if (!head) return 'it is a folder';
  const text = head.toString('latin1');
  const other = otherFiles.find(([start]) => start.test(text))?.[1];
  if (other !== undefined) return other;
  const metric = metricNames[head.length === headerBytes ? head.readInt32LE(33) : -1];
  return /^I[A-Za-z0-9]{3}/.test(text) && metric !== undefined
    ? `its metric is ${metric}, where inner product or L2 is expected`
    : 'it does not start like one';
}

/** A readable name of the type. */
export const typeName = (fourcc: string): string => typeNames[fourcc] ?? fourcc;

/** fourcc 4, dimension 4, ntotal 8, two unused fields of 8, is_trained 1, metric 4; little-endian. */
const headerBytes = 37;
/** A flat index continues with the number of its floats (8), and the floats. */
const flatDataOffset = headerBytes + 8;

/** The size of a file and its start, as long as a header unless the file is shorter; no start if it is a folder. */
async function readHead(path: string): Promise<{ bytes: number; head: Buffer | null }> {
  const file = await open(path);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return { bytes: stats.size, head: null };
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    return { bytes: stats.size, head: buffer.subarray(0, bytesRead) };
  } finally {
    await file.close();
  }
}

/**
 * Reads the header common to all FAISS files, before FAISS itself reads the file: it would trust any length that a
 * damaged file claims.
 *
 * @returns FAISS's four letters for the type (e.g. `IxFI`), the number of vectors (`size`), and the file's size in
 *   `bytes`, with the one expected if the type determines it; `null` if it does not start like a FAISS index
 * @throws the file system's error if it cannot be read
 */
export async function readFaissHeader(path: string) {
  const { bytes, head } = await readHead(path);
  if (!head || head.length < headerBytes) return null;
  const fourcc = head.toString('latin1', 0, 4);
  const dimension = head.readInt32LE(4);
  const size = Number(head.readBigInt64LE(8));
  const metric = metrics[head.readInt32LE(33)];
  if (!/^I[A-Za-z0-9]{3}$/.test(fourcc) || dimension < 1 || dimension > 1_000_000) return null;
  if (size < 0 || size > 2 ** 31 || metric === undefined) return null;
  const isFlat = typeName(fourcc) === 'Flat';
  const expectedBytes = isFlat ? flatDataOffset + 4 * size * dimension : undefined;
  return { fourcc, dimension, size, metric, expectedBytes, bytes };
}
