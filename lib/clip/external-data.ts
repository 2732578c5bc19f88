import { createReadStream } from 'node:fs';
import { AppError } from '../errors.ts';

/** `StringStringEntryProto` of onnx.proto: key (field 1, 8 bytes) `location`, then value (field 2). */
const marker = Buffer.from('\n\x08location\x12', 'latin1');
/** Longest name: its length is one byte. */
const longestName = 127;

/**
 * The files beside an ONNX graph that hold its weights, as it names them: relative to its folder, with slashes. None
 * where the graph holds them itself.
 *
 * @throws AppError `model_unreadable` where one is outside of the folder; the file system's error
 */
export async function externalDataOf(graphPath: string): Promise<string[]> {
  const names = new Set<string>();
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(graphPath, { highWaterMark: 2 ** 20 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) {
      const from = at + marker.length + 1;
      const length = bytes[from - 1] ?? Infinity;
      if (length > longestName || from + length > bytes.length) continue; // its rest comes next
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
