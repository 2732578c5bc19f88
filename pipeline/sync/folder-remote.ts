import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { AppError } from '../../lib/errors.ts';
import { nameBeside } from '../../lib/filesystem/files.ts';
import { hashOf } from './content-hash.ts';
import type { Remote, RemoteFile, RemoteStream, LocalFile } from './remote.ts';

/** A folder, e.g. on another disk or a network share. */
export class FolderRemote implements Remote {
  readonly name: string;
  readonly #dir: string;

  constructor(dir: string) {
    this.name = dir;
    this.#dir = dir;
  }

  async *list(signal?: AbortSignal): AsyncGenerator<RemoteFile> {
    const names = await readdir(this.#dir, { recursive: true }).catch((cause: unknown) => {
      // The first push creates the folder.
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
      throw new AppError('assets_missing', `${this.#dir} is not a folder that can be read.`, {
        cause,
      });
    });
    for (const name of names) {
      const path = join(this.#dir, name);
      signal?.throwIfAborted();
      const found = await stat(path).catch(() => null); // just deleted, or a broken link
      if (found?.isFile() !== true) continue;
      const hash = { algorithm: 'sha256', value: await hashOf(path, 'sha256') } as const;
      yield { path: relative(this.#dir, path).split(sep).join('/'), size: found.size, hash };
    }
  }

  read(path: string, from: number): Promise<RemoteStream> {
    return Promise.resolve({
      from,
      body: createReadStream(join(this.#dir, path), { start: from }),
    });
  }

  async *write(
    change: { files: readonly LocalFile[]; remove: readonly string[] },
    signal?: AbortSignal,
  ): AsyncGenerator<string> {
    for (const path of change.remove) await rm(join(this.#dir, path), { force: true });
    for (const { path, localPath } of change.files) {
      const target = join(this.#dir, path);
      await mkdir(dirname(target), { recursive: true });
      signal?.throwIfAborted();
      const beside = nameBeside(target);
      try {
        await copyFile(localPath, beside);
        await rename(beside, target);
      } catch (error) {
        await rm(beside, { force: true }); // e.g. if the disk is full
        throw error;
      }
      yield path;
    }
  }
}
