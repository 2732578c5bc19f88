import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { AppError } from '../errors.ts';
import { comma, isSpace, RowSplitter } from './metadata-rows.ts';
import { parsePandasJson } from './pandas-json.ts';

/** A list of albums in any supported format. */
export interface Metadata {
  /**
   * The elements as JSON texts, in groups; in a list or JSON Lines exactly as written, with `NaN` and `2012.0`. They are
   * read as a stream, and other work is done in between.
   *
   * @throws AppError `catalog_unreadable`
   */
  rows: () => AsyncGenerator<readonly string[]>;
  /** The elements likewise, parsed (`parsePandasJson`). */
  values: () => AsyncGenerator<readonly unknown[]>;
  /** Findings that its author may not have intended, one sentence each. */
  notes: string[];
}

/** @param why the file is refused: a clause without a full stop */
export const unreadableList = (path: string, why: string, cause?: unknown): AppError =>
  new AppError('catalog_unreadable', `${path} is not a readable list of albums: ${why}.`, {
    cause,
  });

/** The recommended pandas call to write a list. */
const howToWrite = "write it with df.to_json(path, orient='records')";

/** Bytes read at once: their albums take a few milliseconds. */
const chunkBytes = 256 * 2 ** 10;

/** Size up to which a file is read at once, in bytes: a read of each chunk takes longer, and there are two passes. */
const smallFile = 2 ** 25;

/** Maximum length of a text that cannot be read in parts: that of the longest string in Node. */
const longestText = 2 ** 29 - 24;

/**
 * Opens a list of albums: JSON as written by pandas' `to_dict('records')` and `json.dump`, JSON Lines, pandas'
 * `orient="split"` or `"table"`, or an object with a single list; gzipped or not; UTF-8 or UTF-16.
 *
 * @throws AppError `catalog_unreadable`
 */
export async function openMetadata(path: string): Promise<Metadata> {
  const file = await findEncoding(path);
  return {
    rows: () => readElements(path, file, splitList, (text) => text),
    values: () => readElements<unknown>(path, file, parseList, (text) => parse(path, text)),
    notes:
      file.encoding === 'windows-1252'
        ? [`${path} is not UTF-8: it was read as Latin-1 (Windows-1252).`]
        : [],
  };
}

/** How the bytes of a file are to be read. */
interface FileForm {
  isGzipped: boolean;
  encoding: Encoding;
  /** The content of a small file that is not compressed, which is read at once. */
  whole?: Buffer;
}

/** @throws AppError `catalog_unreadable` */
function parse(path: string, text: string): unknown {
  try {
    return parsePandasJson(text);
  } catch (error) {
    throw unreadableList(path, 'it is not valid JSON', error);
  }
}

/**
 * @param elementsOf reads the elements of a list
 * @param element makes one from its text
 */
async function* readElements<Element>(
  path: string,
  form: FileForm,
  elementsOf: (first: Buffer, chunks: Chunks, path: string) => AsyncGenerator<readonly Element[]>,
  element: (text: string) => Element,
): AsyncGenerator<readonly Element[]> {
  let length = 0;
  const counted = async function* () {
    for await (const bytes of readUtf8(path, form)) {
      length += bytes.length;
      yield bytes;
      await nextTurn();
    }
  };
  const chunks = counted();
  try {
    let start = '';
    let first: Buffer = Buffer.alloc(0);
    while (start === '') {
      const next = await chunks.next();
      if (next.done === true) throw unreadableList(path, 'it is empty');
      first = next.value;
      start = first.toString().trimStart();
    }
    if (start.startsWith('[')) yield* elementsOf(first, chunks, path);
    else {
      const texts = startsWithLine(start) ? splitLines(first, chunks) : listIn(path, first, chunks);
      for await (const group of texts) yield group.map(element);
    }
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error;
    const ends = /end|unterminated/i.test(error.message)
      ? `; it ends too early, after ${length.toLocaleString('en')} bytes`
      : '';
    throw unreadableList(path, `it is not valid JSON${ends}`, error);
  } finally {
    await chunks.return(undefined); // closes the file
  }
}

type Chunks = AsyncGenerator<Buffer>;

async function* splitList(first: Buffer, chunks: Chunks) {
  const splitter = new RowSplitter();
  yield splitter.push(first);
  for await (const chunk of chunks) yield splitter.push(chunk);
  splitter.end();
}

/**
 * The elements of a list, parsed together as many as a chunk holds, which takes two thirds of the time of one after the
 * other. Whatever looks like the end of an object, before a comma, is taken for the end of an element: if it is inside a
 * string or another object, the part does not parse, and from there on the elements are split.
 */
async function* parseList(first: Buffer, chunks: Chunks, path: string) {
  const start = first.indexOf('[') + 1;
  const splitter = new RowSplitter();
  splitter.push(first.subarray(0, start)); // throws if anything but white space precedes it
  let rest: Buffer = first.subarray(start);
  let isParsed = false;
  let chunk: Awaited<ReturnType<Chunks['next']>> | undefined;
  for (; chunk?.done !== true; chunk = await chunks.next()) {
    if (chunk) rest = Buffer.concat([rest, chunk.value]);
    const end = endOfElement(rest);
    if (end < 0 && rest.length > longestElement) break;
    if (end < 0) continue;
    let group: unknown[];
    try {
      group = parsePandasJson(`[${rest.toString('utf8', 0, end)}]`) as unknown[];
    } catch {
      break;
    }
    yield group;
    isParsed = true;
    rest = rest.subarray(rest.indexOf(',', end) + 1);
  }
  if (isParsed) splitter.push(Buffer.from('null,')); // in place of what was parsed
  yield splitter.push(rest).map((row) => parse(path, row));
  for await (const next of chunks) yield splitter.push(next).map((row) => parse(path, row));
  splitter.end();
}

/** Bytes without the end of an element after which its end is looked for byte by byte. */
const longestElement = 4 * chunkBytes;

/** The position after one of the last braces that a comma follows; -1 if none of a few does. */
function endOfElement(bytes: Buffer): number {
  let end = bytes.length;
  for (let tries = 0; tries < 8 && end > 0; tries += 1) {
    const brace = bytes.lastIndexOf('}', end - 1);
    if (brace < 0) return -1;
    let next = brace + 1;
    while (isSpace(bytes[next])) next += 1;
    if (bytes[next] === comma) return brace + 1;
    end = brace;
  }
  return -1;
}

/** The lines of JSON Lines. */
async function* splitLines(first: Buffer, chunks: Chunks) {
  let rest = first;
  for await (const chunk of chunks) {
    const end = rest.lastIndexOf('\n') + 1;
    yield linesOf(rest.toString('utf8', 0, end));
    rest = Buffer.concat([rest.subarray(end), chunk]);
  }
  yield linesOf(rest.toString());
}

/** The elements of the list in an object, which is read as a whole. */
async function* listIn(path: string, first: Buffer, chunks: Chunks) {
  const parts = [first];
  let length = first.length;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > longestText)
      throw unreadableList(
        path,
        `it is not a list, and too long to be read as a whole: ${howToWrite}`,
      );
    parts.push(chunk);
  }
  const rows = rowsOf(parsePandasJson(Buffer.concat(parts).toString()));
  if (typeof rows === 'string') throw unreadableList(path, rows);
  yield rows.map((row) => JSON.stringify(row));
}

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** Whether a text starts with an object on a line of its own, and continues after it. */
function startsWithLine(text: string): boolean {
  const [first = '', ...others] = linesOf(text);
  if (others.length === 0 || !first.startsWith('{')) return false;
  try {
    parsePandasJson(first);
    return true;
  } catch {
    return false; // the start of an object on several lines
  }
}

/** The list in an object, or a description of what it is instead. */
function rowsOf(parsed: unknown): unknown[] | string {
  if (typeof parsed !== 'object' || parsed === null)
    return `expected a JSON list of albums but found ${parsed === null ? 'null' : `a ${typeof parsed}`}`;
  const { columns, data } = parsed as Record<string, unknown>;
  if (Array.isArray(columns) && Array.isArray(data)) {
    // orient="split". Filling up shorter rows could make the list far larger than the file.
    const strange = data.findIndex((row) => !Array.isArray(row) || row.length !== columns.length);
    if (strange >= 0)
      return `expected a list of ${String(columns.length)} values, one for each of its columns, at element ${String(strange)} of its data`;
    return (data as unknown[][]).map((row) =>
      Object.fromEntries(columns.map((name, i) => [String(name), row[i]])),
    );
  }
  // orient="table", or an object with a single list
  const lists = Object.values(parsed).filter((value) => Array.isArray(value) && value.length > 0);
  const [list] = lists as unknown[][];
  if (lists.length === 1 && list?.every((row) => typeof row === 'object' && row !== null))
    return list;
  const values = Object.values(parsed) as unknown[];
  if (values.length > 0 && values.every(isObject))
    return `it is pandas' orient="columns" or "index", whose rows have no sure order: ${howToWrite}`;
  if ('local_id' in parsed) return 'expected a JSON list of albums but found an object, one album';
  return `expected a JSON list of albums but found an object: ${howToWrite}`;
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252';

/**
 * The encoding that the first bytes of a text indicate: a byte order mark, or the zero in every other byte that Western
 * text in UTF-16 has. Otherwise UTF-8, if it is valid.
 */
function encodingOf([first, second]: Uint8Array): Encoding {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (second === 0 && first !== 0) return 'utf-16le';
  if (first === 0 && second !== 0 && second !== undefined) return 'utf-16be';
  return 'utf-8';
}

/** Decodes a whole text; what is neither UTF-16 nor valid UTF-8 is read as Windows-1252, a superset of Latin-1. */
export function decodeText(bytes: Uint8Array): { text: string; encoding: Encoding } {
  const indicated = encodingOf(bytes);
  const encoding = indicated === 'utf-8' && !isUtf8(bytes) ? 'windows-1252' : indicated;
  return { text: new TextDecoder(encoding).decode(bytes), encoding };
}

/** Reads the file once to find its encoding. */
async function findEncoding(path: string): Promise<FileForm> {
  const form: FileForm = { isGzipped: false, encoding: 'utf-8' };
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { size } = await file.stat();
    const whole = size > 0 && size <= smallFile ? await file.readFile() : undefined;
    const start = whole ?? (await file.read(Buffer.alloc(2))).buffer;
    form.isGzipped = start[0] === 0x1f && start[1] === 0x8b;
    if (whole && !form.isGzipped) form.whole = whole;
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    await file.close();
  }
  let rest: Buffer = Buffer.alloc(0); // of a character whose bytes are in two chunks
  let isFirst = true;
  for await (const chunk of readBytes(path, form)) {
    if (isFirst) form.encoding = encodingOf(chunk);
    if (form.encoding !== 'utf-8') return form;
    isFirst = false;
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const whole = bytes.length - unfinishedBytes(bytes);
    rest = bytes.subarray(whole);
    if (!isUtf8(bytes.subarray(0, whole))) return { ...form, encoding: 'windows-1252' };
  }
  return rest.length > 0 ? { ...form, encoding: 'windows-1252' } : form;
}

/** Number of bytes at the end that begin a character of UTF-8 and do not complete it. */
function unfinishedBytes(bytes: Uint8Array): number {
  for (let count = 1; count <= 3; count += 1) {
    const byte = bytes[bytes.length - count] ?? 0;
    if (byte >= 0xc0) return count < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? count : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

export const unreadable = (path: string, error: unknown): AppError => {
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return unreadableList(path, `it could not be read (${reason})`, error);
};

/** The bytes of a file, decompressed. */
async function* readBytes(path: string, { isGzipped, whole }: FileForm): AsyncGenerator<Buffer> {
  if (whole) {
    for (let from = 0; from < whole.length; from += chunkBytes)
      yield whole.subarray(from, from + chunkBytes);
    return;
  }
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  const bytes = isGzipped
    ? pipeline(file, createGunzip({ chunkSize: chunkBytes }), () => undefined) // the error comes below
    : file;
  try {
    yield* bytes as AsyncIterable<Buffer>;
  } catch (error) {
    throw isGzipped && isDamage(error)
      ? unreadableList(path, 'it is compressed with gzip, and damaged', error)
      : unreadable(path, error);
  }
}

const isDamage = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');

/** The text of a file in UTF-8, without a byte order mark. */
async function* readUtf8(path: string, form: FileForm): Chunks {
  const { encoding } = form;
  const decoder = encoding === 'utf-8' ? undefined : new TextDecoder(encoding);
  let isFirst = true;
  for await (const bytes of readBytes(path, form)) {
    const marked = isFirst && bytes.indexOf('\uFEFF') === 0;
    isFirst = false;
    yield decoder
      ? Buffer.from(decoder.decode(bytes, { stream: true }))
      : bytes.subarray(marked ? 3 : 0);
  }
}
