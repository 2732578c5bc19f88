import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSynced } from '../../lib/filesystem/files.ts';
import { featuresName, indexName, manifestName, metadataName } from '../../lib/assets/assets.ts';
import {
  digestFile,
  readManifestFile,
  type FileDigest,
  type Manifest,
} from '../../lib/assets/manifest.ts';

/** @returns `null` if the set has no manifest @throws AppError `assets_inconsistent` if the file is not a manifest */
export const readManifest = (dir: string): Promise<Manifest | null> =>
  readManifestFile(join(dir, manifestName));

/** The files that a manifest describes; the features are optional. */
const describedNames = [featuresName, indexName, metadataName] as const;

/**
 * The files of a set, written beside the old ones and renamed into place once all are complete. The manifest comes
 * last: if it does not match the other files, the replacement was interrupted.
 */
export class FileSet {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async begin(dir: string): Promise<FileSet> {
    const set = new FileSet(dir);
    await set.abandon(); // leftovers of an earlier run
    return set;
  }

  /**
   * Completes a replacement that was killed halfway: if a new manifest was written and every file it describes exists,
   * in place or beside, the remaining files are renamed into place.
   */
  static async recover(dir: string): Promise<void> {
    const set = new FileSet(dir);
    const manifest = await readManifestFile(set.#beside(manifestName)).catch(() => null);
    if (!manifest) return; // none, or killed while being written: the old set stays
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

  /** Where to write the new index. */
  get indexPath(): string {
    return this.#beside(indexName);
  }

  /** Where to write the new features, if any. */
  get featuresPath(): string {
    return this.#beside(featuresName);
  }

  writeMetadata(text: string): Promise<void> {
    return writeSynced(this.#beside(metadataName), text);
  }

  /** Writes the manifest and renames all files into place. */
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

  /** Renames only the features into place and adds them to the manifest, if present. */
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

  /** Removes files that were written but not renamed into place. */
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

  /** Removes an earlier set's features if this set has none. */
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
