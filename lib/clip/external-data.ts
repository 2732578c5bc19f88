import { createReadStream } from 'node:fs';
import { AppError } from '../errors.ts';

/** `StringStringEntryProto` of onnx.proto: key (field 1, 8 bytes) `location`, then value (field 2). */
const marker = Buffer.from('\n\x08location\x12', 'latin1');
/** Longest supported name: its length must fit in a one-byte varint. */
const longestName = 127;

/**
 * Names of the files that hold an ONNX graph's external weights, as the graph gives them: relative to its folder, with
 * slashes. Empty if the graph contains its weights.
 *
 * @throws AppError `model_unreadable` if one is outside the folder; the file system's error
 */
export async function externalDataOf(graphPath: string): Promise<string[]> {
  const names = new Set<string>();
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(graphPath, { highWaterMark: 2 ** 20 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) {
      const from = at + marker.length + 1;
      const length = bytes[from - 1] ?? Infinity;
      if (length > longestName || from + length > bytes.length) continue; // incomplete: the rest is in the next chunk
      names.add(bytes.toString('utf8', from, from + length).replace(/^(\.\/)+/, ''));
    }
    rest = bytes.subarray(-(marker.length + 1 + longestName));
  }
  for (const name of names)
    if (/[\\\0]/.test(name) || name.split('/').some((part) => part === '' || part === '..'))
      throw new AppError(
        'model_unreadable',
        `${graphPath} names a file of weights outside of its folder: ${name}.`,
      );
  return [...names];
}
