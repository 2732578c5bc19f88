/**
 * Makes a large set of files: the albums of a list several times, with made-up embeddings.
 *
 *     npx tsx bench/make-large-set.ts METADATA_FILE OUT_FOLDER [--copies 39] [--type auto]
 *
 * 39 copies of 25,790 albums are a million: 344 MB of JSON, and an index of 0.5 to 2 GB, whose build takes minutes.
 */
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Catalog } from '../lib/catalog/catalog.ts';
import { assembleIndex } from '../pipeline/indexing/assemble.ts';
import { FileSet } from '../pipeline/indexing/file-set.ts';
import { copiedAlbums } from './copied-albums.ts';
import { dimension, madeUpVectors } from './made-up-vectors.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    copies: { type: 'string', default: '39' },
    type: { type: 'string', default: 'auto' },
  },
});
const [list, folder] = positionals;
if (list === undefined || folder === undefined) {
  console.error('usage: npx tsx bench/make-large-set.ts METADATA_FILE OUT_FOLDER [--copies 39] [--type auto]'); // prettier-ignore
  process.exit(2);
}
const copies = Number(values.copies);
const size = copies * (await Catalog.open(list)).size;
await mkdir(folder, { recursive: true });
const set = await FileSet.begin(folder);
try {
  await set.writeMetadata(copiedAlbums(list, copies));
  const vectors = () => madeUpVectors(size);
  const building = assembleIndex(set.indexPath, { vectors, dimension, size, type: values.type });
  let step = await building.next();
  for (; step.done !== true; step = await building.next())
    if (step.value.type !== 'indexed') console.log(JSON.stringify(step.value));
  const model = { name: 'made-up', dtype: 'fp32' as const, files: {} };
  await set.finish({ model, preprocessing: {}, index: step.value, skipped: [] });
} catch (error) {
  await set.abandon();
  throw error;
}
