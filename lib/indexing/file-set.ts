import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSynced } from '../files.ts';
import { indexName, manifestName, metadataName } from '../storage/assets.ts';
import { digestFile, readManifestFile, type Manifest } from './manifest.ts';

/**
 * The three files of a set, written beside those that are there and put in their place together when all of
 * them are whole. The manifest comes last: where it does not fit the other two, something was in between.
 */
export class FileSet {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async begin(dir: string): Promise<FileSet> {
    const set = new FileSet(dir);
    await set.abandon(); // what an earlier run may have left
    return set;
  }

  /**
   * Finishes what an earlier run was killed in the middle of: where a manifest was written beside the old one and
   * every file that it describes is there, in its place or beside it, the rest is put in its place.
   */
  static async recover(dir: string): Promise<void> {
    const set = new FileSet(dir);
    const manifest = await readManifestFile(set.#beside(manifestName)).catch(() => null);
    if (!manifest) return; // there is none, or it was killed while it was written: the old set stays
    const beside: string[] = [];
    for (const name of [indexName, metadataName]) {
      if (await fits(join(dir, name), manifest.files[name])) continue;
      if (!(await fits(set.#beside(name), manifest.files[name]))) return;
      beside.push(name);
    }
    for (const name of [...beside, manifestName]) await rename(set.#beside(name), join(dir, name));
  }

  /** Where the new index is to be written. */
  get indexPath(): string {
    return this.#beside(indexName);
  }

  writeMetadata(text: string): Promise<void> {
    return writeSynced(this.#beside(metadataName), text);
  }

  /** Writes the manifest and puts all three in their place. */
  async finish(about: Omit<Manifest, 'format' | 'files'>): Promise<Manifest> {
    const manifest: Manifest = {
      format: 1,
      ...about,
      files: {
        [indexName]: await digestFile(this.#beside(indexName)),
        [metadataName]: await digestFile(this.#beside(metadataName)),
      },
    };
    await writeSynced(this.#beside(manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    for (const name of [indexName, metadataName, manifestName])
      await rename(this.#beside(name), join(this.#dir, name));
    return manifest;
  }

  /** Removes what has been written and is not in its place. */
  async abandon(): Promise<void> {
    for (const name of [indexName, metadataName, manifestName])
      await rm(this.#beside(name), { force: true });
  }

  #beside(name: string): string {
    return join(this.#dir, `${name}.new`);
  }
}

const fits = async (path: string, digest: { sha256: string } | undefined): Promise<boolean> => {
  const found = await digestFile(path).catch(() => null);
  return found !== null && found.sha256 === digest?.sha256;
};
