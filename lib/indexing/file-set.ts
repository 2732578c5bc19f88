import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSynced } from '../files.ts';
import { featuresName, indexName, manifestName, metadataName } from '../assets/assets.ts';
import { digestFile, readManifestFile, type FileDigest, type Manifest } from './manifest.ts';

/** The files that a manifest describes; the features of the covers may be missing. */
const describedNames = [featuresName, indexName, metadataName] as const;

/**
 * The files of a set, written beside those that are there and put in their place together when all of
 * them are whole. The manifest comes last: where it does not fit the others, something was in between.
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
    for (const name of describedNames) {
      if (name === featuresName && !manifest.files[name]) continue;
      if (await fits(join(dir, name), manifest.files[name])) continue;
      if (!(await fits(set.#beside(name), manifest.files[name]))) return;
      beside.push(name);
    }
    await set.#putInPlace([...beside, manifestName]);
    await set.#removeForeignFeatures(manifest);
  }

  /** Where the new index is to be written. */
  get indexPath(): string {
    return this.#beside(indexName);
  }

  /** Where the features of the covers are to be written, if they are. */
  get featuresPath(): string {
    return this.#beside(featuresName);
  }

  writeMetadata(text: string): Promise<void> {
    return writeSynced(this.#beside(metadataName), text);
  }

  /** Writes the manifest and puts all of them in their place. */
  async finish(about: Omit<Manifest, 'format' | 'files'>): Promise<Manifest> {
    const features = await digestFile(this.featuresPath).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    });
    const manifest: Manifest = {
      format: 1,
      ...about,
      files: {
        ...(features && { [featuresName]: features }),
        [indexName]: await digestFile(this.#beside(indexName)),
        [metadataName]: await digestFile(this.#beside(metadataName)),
      },
    };
    await this.#writeManifest(manifest);
    await this.#putInPlace([
      ...describedNames.filter((name) => name in manifest.files),
      manifestName,
    ]);
    await this.#removeForeignFeatures(manifest);
    return manifest;
  }

  /** Puts features alone in their place; the manifest that is there, if any, names them then. */
  async finishFeatures(manifest: Manifest | null): Promise<FileDigest> {
    const digest = await digestFile(this.featuresPath);
    if (manifest)
      await this.#writeManifest({
        ...manifest,
        files: { ...manifest.files, [featuresName]: digest },
      });
    await this.#putInPlace([featuresName, ...(manifest ? [manifestName] : [])]);
    return digest;
  }

  /** Removes what has been written and is not in its place. */
  async abandon(): Promise<void> {
    for (const name of [...describedNames, manifestName])
      await rm(this.#beside(name), { force: true });
  }

  #writeManifest(manifest: Manifest): Promise<void> {
    return writeSynced(this.#beside(manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
  }

  async #putInPlace(names: readonly string[]): Promise<void> {
    for (const name of names) await rename(this.#beside(name), join(this.#dir, name));
  }

  /** Those of an earlier set, where this one has none. */
  async #removeForeignFeatures({ files }: Manifest): Promise<void> {
    if (!files[featuresName]) await rm(join(this.#dir, featuresName), { force: true });
  }

  #beside(name: string): string {
    return join(this.#dir, `${name}.new`);
  }
}

const fits = async (path: string, digest: { sha256: string } | undefined): Promise<boolean> => {
  const found = await digestFile(path).catch(() => null);
  return found !== null && found.sha256 === digest?.sha256;
};
