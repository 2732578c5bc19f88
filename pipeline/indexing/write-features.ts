import { open, type FileHandle } from 'node:fs/promises';
import pLimit from 'p-limit';
import { usableCores } from '../../lib/concurrency/cores.ts';
import { writeAt } from '../../lib/filesystem/files.ts';
import {
  headOf,
  layoutOf,
  numbersIn,
  type CoverFeatures,
  type FeatureFileHead,
} from '../../lib/identify/feature-file.ts';
import { countOf } from '../../lib/identify/features.ts';
import { native } from '../../lib/identify/native.ts';

/**
 * Writes a feature file. All features are held in memory meanwhile.
 *
 * @param path written in place, not via a temporary file: it must not be a file that is mapped
 * @param covers in the order of their rows
 * @param centres of the file whose lists the features refer to; if absent, lists are trained on the given features
 * @throws Error of the file system; AppError `index_unreadable` if the addon is not built
 */
export async function writeFeatureFile(
  path: string,
  covers: AsyncIterable<CoverFeatures> | Iterable<CoverFeatures>,
  centres?: Uint8Array,
): Promise<FeatureFileHead> {
  const all: CoverFeatures[] = [];
  for await (const cover of covers) all.push(inOrder(cover));
  const features = all.reduce((sum, cover) => sum + countOf(cover), 0);
  const lists = centres ?? (await trainLists(all, features));
  const head = { covers: all.length, lists: lists.length / 32, features };
  const limit = pLimit(usableCores());
  const listOf = await Promise.all(
    all.map(async (cover) =>
      centres && cover.lists
        ? cover.lists
        : limit(async () => numbersIn(await native().assign(cover.codes, lists))),
    ),
  );
  const file = await open(path, 'w');
  try {
    await writeParts(file, head, all, lists, listOf);
    await file.sync();
  } finally {
    await file.close();
  }
  return head;
}

/**
 * Sorts a cover's features by place, then by code, so that the same features give the same file in whatever order they
 * come.
 */
function inOrder(cover: CoverFeatures): CoverFeatures {
  const { codes, places, lists } = cover;
  const bytes = Buffer.from(places.buffer, places.byteOffset, places.byteLength);
  const keys = Array.from({ length: countOf(cover) }, (_, i) => bytes.readUIntBE(6 * i, 6));
  const code = (i: number) => codes.subarray(32 * i, 32 * i + 32);
  const order = [...keys.keys()].sort(
    (a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || Buffer.compare(code(a), code(b)),
  );
  return {
    ...cover,
    // Copied out of what Buffer.concat takes from Node's pool.
    codes: new Uint8Array(Buffer.concat(order.map(code))),
    places: new Uint8Array(Buffer.concat(order.map((i) => places.subarray(6 * i, 6 * i + 6)))),
    ...(lists && { lists: Uint32Array.from(order, (i) => lists[i] ?? 0) }),
  };
}

/** Number of lists that a search scans. */
const usualProbes = 8;
/** Codes sampled per centre: more gain nothing. */
const sampledPerList = 32;

/** Trains the lists' centres on codes sampled evenly from all. */
async function trainLists(covers: readonly CoverFeatures[], features: number): Promise<Uint8Array> {
  if (features === 0) return new Uint8Array(32);
  // A search scans all centres and the codes of some lists: with this number of lists both take the same time.
  const balanced = Math.round(Math.sqrt(usualProbes * features));
  const lists = Math.max(1, Math.min(balanced, Math.floor(features / 32)));
  const wanted = Math.min(features, lists * sampledPerList);
  const sample = new Uint8Array(wanted * 32);
  let taken = 0;
  let seen = 0;
  for (const { codes } of covers)
    for (let at = 0; at < codes.length; at += 32, seen += 1)
      if (seen * wanted >= taken * features && taken < wanted) {
        sample.set(codes.subarray(at, at + 32), taken * 32);
        taken += 1;
      }
  return native().train(sample.subarray(0, taken * 32), Math.min(lists, taken));
}

/** Features written at a time. */
const blockSize = 65_536;

async function writeParts(
  file: FileHandle,
  head: FeatureFileHead,
  covers: readonly CoverFeatures[],
  centres: Uint8Array,
  listOf: readonly Uint32Array[],
): Promise<void> {
  const layout = layoutOf(head);
  const front = Buffer.alloc(layout.centres);
  headOf(head).copy(front);
  for (const [row, cover] of covers.entries()) {
    const at = layout.sizes + 8 * row;
    front.writeUInt16LE(cover.width, at);
    front.writeUInt16LE(cover.height, at + 2);
    front.writeUInt32LE(countOf(cover), at + 4);
  }
  const { starts, rows, indices } = sortByList(head, listOf);
  for (const [list, start] of starts.entries())
    front.writeBigUInt64LE(BigInt(start), layout.starts + 8 * list);
  await writeAt(file, front, 0);
  await writeAt(file, centres, layout.centres);
  for (let from = 0; from < head.features; from += blockSize) {
    const count = Math.min(blockSize, head.features - from);
    const codes = new Uint8Array(count * 32);
    const places = new Uint8Array(count * 6);
    for (let i = 0; i < count; i += 1) {
      const cover = covers[rows[from + i] ?? 0];
      const index = indices[from + i] ?? 0;
      if (!cover) continue;
      codes.set(cover.codes.subarray(index * 32, index * 32 + 32), i * 32);
      places.set(cover.places.subarray(index * 6, index * 6 + 6), i * 6);
    }
    await writeAt(file, codes, layout.codes + 32 * from);
    await writeAt(file, places, layout.places + 6 * from);
  }
  await writeAt(file, new Uint8Array(rows.buffer), layout.rows);
}

/** Start of each list, and for each feature in list order its row and its index among the cover's features. */
function sortByList({ lists, features }: FeatureFileHead, listOf: readonly Uint32Array[]) {
  const starts = new Uint32Array(lists + 1);
  for (const ofCover of listOf)
    for (const list of ofCover) starts[list + 1] = (starts[list + 1] ?? 0) + 1;
  for (let list = 0; list < lists; list += 1)
    starts[list + 1] = (starts[list + 1] ?? 0) + (starts[list] ?? 0);
  const next = starts.slice();
  const rows = new Uint32Array(features);
  const indices = new Uint16Array(features);
  for (const [row, ofCover] of listOf.entries())
    for (const [index, list] of ofCover.entries()) {
      const at = next[list] ?? 0;
      next[list] = at + 1;
      rows[at] = row;
      indices[at] = index;
    }
  return { starts, rows, indices };
}
