import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { joinRows, splitRows } from '../../pipeline/indexing/metadata-file.ts';
import { coverName } from '../../lib/assets/covers.ts';
import { cli } from './cli.ts';
import { starter } from './requests.ts';

/** Some starter albums in a separate folder: covers in `images`, metadata in `albums.json`. */
export interface SmallCatalog {
  dir: string;
  imagesDir: string;
  metadataPath: string;
  ids: number[];
  /** The raw metadata rows. */
  rows: string[];
  coverPath: (id: number) => string;
}

/** @param from first row @param count number of rows */
export async function smallCatalog(
  dir: string,
  from: number,
  count: number,
): Promise<SmallCatalog> {
  const imagesDir = join(dir, 'images');
  const metadataPath = join(dir, 'albums.json');
  await mkdir(imagesDir, { recursive: true });
  const rows = splitRows(await readFile(starter.metadataPath, 'utf8')).slice(from, from + count);
  const ids = rows.map((row) => (JSON.parse(row) as { local_id: number }).local_id);
  const coverPath = (id: number) => join(imagesDir, coverName(id));
  for (const id of ids) await cp(join(starter.imagesDir, coverName(id)), coverPath(id));
  await writeFile(metadataPath, joinRows(rows));
  return { dir, imagesDir, metadataPath, ids, rows, coverPath };
}

/** Some starter albums ready to be served: `models/` with index, metadata and manifest, and `images/`. */
export async function smallSet(
  dir: string,
  count: number,
  { features = false } = {},
): Promise<SmallCatalog> {
  const catalog = await smallCatalog(dir, 0, count);
  const { status, errors } = await cli([
    ...['index', 'build', '--images', catalog.imagesDir, '--metadata', catalog.metadataPath],
    ...['--out', join(dir, 'models'), '--model', starter.clipDir],
    ...(features ? [] : ['--no-features']),
  ]);
  assert.equal(status, 0, errors);
  await rm(catalog.metadataPath);
  return catalog;
}
