import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Catalog } from '../../lib/catalog/catalog.ts';
import { writeSynced } from '../../lib/filesystem/files.ts';
import { writeCompactFile } from './write-compact.ts';
import { writeRows, type RowGroups } from './metadata-file.ts';
import {
  compactName,
  featuresName,
  indexName,
  manifestName,
  metadataName,
} from '../../lib/assets/assets.ts';
import {
  digestFile,
  readManifestFile,
  type FileDigest,
  type Manifest,
} from '../../lib/assets/manifest.ts';

/** @returns `null` if the set has no manifest @throws AppError `assets_inconsistent` if the file is not a manifest */
export const readManifest = (dir: string): Promise<Manifest | null> =>
  readManifestFile(join(dir, manifestName));

/** The files that not every set has. */
const optionalNames = [featuresName, compactName] as const;
/** The files that a manifest describes. */
const describedNames = [...optionalNames, indexName, metadataName] as const;

/** Number of albums from which a list gets a compact form: shorter ones load as fast as JSON. */
const compactFrom = 10_000;

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
      if (isOptional(name) && !manifest.files[name]) continue;
      if (await fits(join(dir, name), manifest.files[name])) continue;
      if (!(await fits(set.#beside(name), manifest.files[name]))) return;
      beside.push(name);
    }
    await set.#putInPlace([...beside, manifestName]);
    await set.#removeForeign(manifest);
  }

  /** Where to write the new index. */
  get indexPath(): string {
    return this.#beside(indexName);
  }

  /** Where to write the new features, if any. */
  get featuresPath(): string {
    return this.#beside(featuresName);
  }

  /** @param rows as they are to be written */
  writeMetadata(rows: RowGroups): Promise<void> {
    return writeRows(this.#beside(metadataName), rows);
  }

  /** Writes the manifest and renames all files into place. */
  async finish(about: Omit<Manifest, 'format' | 'files'>): Promise<Manifest> {
    if (about.index.vectors >= compactFrom) {
      const catalog = await Catalog.open(this.#beside(metadataName));
      await writeCompactFile(this.#beside(compactName), catalog);
    }
    const files: Manifest['files'] = {};
    for (const name of describedNames) {
      const digest = await digestFile(this.#beside(name)).catch((error: unknown) => {
        const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (isAbsent && isOptional(name)) return null;
        throw error;
      });
      if (digest) files[name] = digest;
    }
    const manifest: Manifest = { format: 1, ...about, files };
    await this.#writeManifest(manifest);
    await this.#putInPlace([...Object.keys(files), manifestName]);
    await this.#removeForeign(manifest);
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

  /** Removes an earlier set's files that this set does not have. */
  async #removeForeign({ files }: Manifest): Promise<void> {
    for (const name of optionalNames)
      if (!files[name]) await rm(join(this.#dir, name), { force: true });
  }

  #beside(name: string): string {
    return join(this.#dir, `${name}.new`);
  }
}

const isOptional = (name: string): boolean => optionalNames.some((optional) => optional === name);

const fits = async (path: string, digest: { sha256: string } | undefined): Promise<boolean> => {
  const found = await digestFile(path).catch(() => null);
  return found !== null && found.sha256 === digest?.sha256;
};
