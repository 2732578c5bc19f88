import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { AppError } from '../errors.ts';
import { inTurns } from '../concurrency/in-turns.ts';
import { eachRow, joinRows } from './metadata-rows.ts';
import { parsePandasJson } from './pandas-json.ts';

/** Maximum size of a decompressed list in bytes: that of the longest string in Node. */
const mostBytes = 512 * 2 ** 20;

/** A list of albums, read from any supported format. */
export interface Metadata {
  /** The elements, usually objects. */
  rows: unknown[];
  /** The list as JSON text, with `NaN` and `2012.0` unchanged; serialised again if the file has another format. */
  text: string;
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

/**
 * Reads a list of albums: JSON as written by pandas' `to_dict('records')` and `json.dump`, JSON Lines, pandas'
 * `orient="split"` or `"table"`, or an object with a single list; gzipped or not; UTF-8 or UTF-16.
 *
 * @throws AppError `catalog_unreadable`, naming the format found if it is another
 */
export async function readMetadata(path: string): Promise<Metadata> {
  const refuse = (why: string, cause?: unknown) => unreadableList(path, why, cause);
  let bytes = await readFile(path).catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw refuse(`it could not be read (${reason})`, error);
  });
  if (bytes[0] === 0x1f && bytes[1] === 0x8b)
    bytes = await promisify(gunzip)(bytes, { maxOutputLength: mostBytes }).catch(
      (error: unknown) => {
        throw refuse('it is compressed with gzip, and damaged or too large', error);
      },
    );
  const { text, encoding } = decodeText(bytes);
  const notes =
    encoding === 'windows-1252'
      ? [`${path} is not UTF-8: it was read as Latin-1 (Windows-1252).`]
      : [];
  if (text.trim() === '') throw refuse('it is empty');
  const elements = await parseList(text);
  if (elements) return { rows: elements, text, notes };
  let parsed: unknown;
  try {
    parsed = parsePandasJson(text);
  } catch (error) {
    const lines = jsonLines(text);
    if (!lines) throw refuse(`it is not valid JSON${whereItEnds(error, text)}`, error);
    return { rows: lines, text: listText(lines), notes };
  }
  const rows = rowsOf(parsed);
  if (typeof rows === 'string') throw refuse(rows);
  return { rows, text: listText(rows), notes };
}

/** Parses a JSON list one element at a time, yielding to other work; `null` if the text is not a list. */
async function parseList(text: string): Promise<unknown[] | null> {
  const elements: unknown[] = [];
  try {
    await inTurns(eachRow(text), (row) => elements.push(parsePandasJson(row)));
  } catch {
    return null; // the caller reports the error of the whole text
  }
  return elements;
}

const listText = (rows: readonly unknown[]): string =>
  joinRows(rows.map((row) => JSON.stringify(row)));

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

/** Parses JSON Lines, one object per line; `null` if the text is something else. */
function jsonLines(text: string): unknown[] | null {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (lines.length === 0 || !lines.every((line) => /^\s*\{/.test(line))) return null;
  try {
    return lines.map(parsePandasJson);
  } catch {
    return null; // the caller reports the error of the whole text
  }
}

/** States where a truncated text ends. */
function whereItEnds(error: unknown, text: string): string {
  if (!(error instanceof Error) || !/end of|unterminated/i.test(error.message)) return '';
  return `; it ends too early, after ${text.length.toLocaleString('en')} characters`;
}

/**
 * Decodes text in the encoding that its first bytes indicate, else as UTF-8 if valid, else as Windows-1252, a superset
 * of Latin-1. Removes a byte order mark.
 */
export function decodeText(bytes: Uint8Array) {
  const [first, second] = bytes;
  const decode = (encoding: 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252', fatal = false) => ({
    text: new TextDecoder(encoding, { fatal }).decode(bytes),
    encoding,
  });
  if (first === 0xff && second === 0xfe) return decode('utf-16le');
  if (first === 0xfe && second === 0xff) return decode('utf-16be');
  // no byte order mark: Western text in UTF-16 has a zero in every other byte
  if (second === 0 && first !== 0) return decode('utf-16le');
  if (first === 0 && second !== 0 && second !== undefined) return decode('utf-16be');
  try {
    return decode('utf-8', true);
  } catch {
    return decode('windows-1252');
  }
}
