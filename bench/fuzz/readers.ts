/* Runs the file readers in a separate process, which may crash: reads each input it is sent and reports the outcome. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { readRows } from '../../pipeline/indexing/metadata-file.ts';
import { createImageEncoder } from '../../lib/clip/image-encoder.ts';
import { createTextEncoder } from '../../lib/clip/text-encoder.ts';
import { isAppError } from '../../lib/errors.ts';
import { readCsvCatalog } from '../../pipeline/csv-import/csv-catalog.ts';
import { Journal } from '../../pipeline/indexing/journal.ts';
import { readManifestFile } from '../../lib/assets/manifest.ts';
import { openEmbeddings } from '../../lib/vectors/open-embeddings.ts';

/** The outcome of an input: `read`, `refused` with an error code, or a fault. */
export type Outcome = ({ outcome: 'read' | 'refused' } | { outcome: 'fault'; why: string }) & {
  /** CPU time in milliseconds, which other processes on the machine do not affect. */
  cpuMs: number;
};

export type ReaderName = 'index' | 'metadata' | 'csv' | 'manifest' | 'journal' | 'model';

const [modelDir = '', metadataPath = ''] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'fuzz-readers-'));
const path = join(folder, 'file');
const ids = (await Catalog.open(metadataPath)).ids();

const modelFiles = [
  'config.json',
  'preprocessor_config.json',
  'tokenizer.json',
  'onnx/vision_model.onnx',
  'onnx/text_model.onnx',
];

const readers: Record<ReaderName, (bytes: Buffer) => Promise<void>> = {
  index: async (bytes) => {
    await writeFile(path, bytes);
    const { index } = await openEmbeddings(path, ids);
    const { rows, distances } = await index.search(index.vectorOf(3), 5);
    for (const [i, row] of rows.entries()) {
      const score = index.similarity(distances[i] ?? NaN);
      if (row < 0 || row >= ids.length || !(score >= -1 && score <= 1))
        throw new Error(`row ${String(row)} with a score of ${String(score)}`);
    }
    index.dispose();
  },
  metadata: async (bytes) => {
    await writeFile(path, bytes);
    const { size } = await Catalog.open(path);
    let rows = 0;
    for await (const group of readRows(path)) rows += group.length;
    if (rows !== size) throw new Error('readRows and Catalog disagree on the number of rows');
  },
  csv: (bytes) => {
    readCsvCatalog('list.csv', bytes);
    return Promise.resolve();
  },
  manifest: async (bytes) => {
    await writeFile(path, bytes);
    await readManifestFile(path);
  },
  journal: async (bytes) => {
    const dir = join(folder, 'build');
    const options = { dimension: 8, batch: 2, total: 8 };
    const begun = await Journal.open(dir, {}, { ...options, resume: false, restart: true });
    await begun.close();
    const file = ['skipped.jsonl', 'vectors.f32', 'plan.json'][(bytes[0] ?? 0) % 3] ?? '';
    await writeFile(join(dir, '.index-build', file), bytes.subarray(1));
    const journal = await Journal.open(dir, {}, { ...options, resume: true, restart: false });
    await journal.close();
  },
  model: async (bytes) => {
    const dir = join(folder, 'model');
    await cp(modelDir, dir, { recursive: true, filter: (from) => !from.includes('catalog') });
    const file = modelFiles[(bytes[0] ?? 0) % modelFiles.length] ?? '';
    await writeFile(join(dir, file), bytes.subarray(1));
    if (file.includes('text') || file === 'tokenizer.json') {
      const encoder = await createTextEncoder({ modelDir: dir });
      await encoder.encode('a red circle').finally(() => encoder.dispose());
    } else await (await createImageEncoder({ modelDir: dir })).dispose();
  },
};

process.on('message', ({ reader, base64 }: { reader: ReaderName; base64: string }) => {
  const before = process.cpuUsage();
  const cpuMs = () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  const read = async () => readers[reader](Buffer.from(base64, 'base64')); // async, to catch synchronous errors too
  void read().then(
    () => process.send?.({ outcome: 'read', cpuMs: cpuMs() } satisfies Outcome),
    (error: unknown) =>
      process.send?.(
        (isAppError(error)
          ? { outcome: 'refused', cpuMs: cpuMs() }
          : {
              outcome: 'fault',
              cpuMs: cpuMs(),
              why: error instanceof Error ? (error.stack ?? error.message) : String(error),
            }) satisfies Outcome,
      ),
  );
});
process.on('disconnect', () => {
  void rm(folder, { recursive: true, force: true }).then(() => process.exit());
});
await readFile(metadataPath);
process.send?.('ready');
