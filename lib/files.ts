import { open, rename, rm, type FileHandle } from 'node:fs/promises';

/** Writes all of the bytes: one call may take fewer, as on a disk that fills up. @param position in bytes */
export async function writeAt(
  file: FileHandle,
  bytes: Uint8Array,
  position: number | null,
): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const at = position === null ? null : position + written;
    written += (await file.write(bytes, written, bytes.length - written, at)).bytesWritten;
  }
}

/** Writes a whole file, and waits until the disk has it. */
export async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file by another that is first written beside it, so that whatever goes wrong leaves what was
 * there before.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const beside = `${path}.${String(process.pid)}.new`;
  try {
    await writeSynced(beside, content);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
