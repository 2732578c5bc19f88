import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Request } from 'express';
import busboy from 'busboy';
import { AppError, type ErrorCode } from '../errors.ts';
import { sniffImage } from '../imaging/sniff.ts';

export interface Upload {
  /** The file's bytes, never more than the limit; `undefined` if a form has an `upload_id` instead. */
  file: Buffer | undefined;
  /** The other fields of the form; a repeated field has a list of values. */
  fields: Record<string, string | string[]>;
}

export interface UploadLimits {
  /** Largest file, in bytes. */
  bytes: number;
  /** An upload that sends nothing for this long is aborted. */
  idleSeconds: number;
  /** An upload that is not complete after this time is aborted. */
  seconds: number;
}

/** Largest text field, in bytes. */
const mostFieldBytes = 4096;

/** Room for the boundaries, headers and small fields around the file, in bytes. */
const formOverhead = 64 * 1024;

/**
 * Time for parsing a form that has arrived completely, in milliseconds. busboy does not report a part that begins after
 * the last boundary and has no end.
 */
const parseMs = 1000;

/** Name of the form field that holds the picture. */
const fileField = 'file';

/**
 * Reads one picture from a request: field `file` of a multipart form, or the body itself. It is parsed as it arrives
 * and rejected at the first fault, so that a file over the limit is refused before it is complete and never held whole.
 *
 * @throws AppError `upload_too_large`, `missing_file`, `unexpected_field`, `too_many_files`,
 *   `empty_file`, `malformed_upload` or `upload_incomplete`
 */
export async function readUpload(request: Request, limits: UploadLimits): Promise<Upload> {
  const type = request.get('content-type')?.toLowerCase() ?? '';
  const read = /^(image\/|application\/octet-stream|$)/.test(type) ? readRaw : readForm;
  const mostBytes = limits.bytes + (read === readRaw ? 0 : formOverhead);
  if (Number(request.get('content-length') ?? 0) > mostBytes) throw tooLarge(limits);

  const cleanUps: (() => void)[] = [];
  const upload = await new Promise<Upload>((resolve, reject) => {
    const body = decompress(request, reject);
    if (body !== request)
      cleanUps.push(
        () => request.unpipe(),
        () => body.destroy(),
      );
    const reading = { request, body, limits, resolve, reject };
    cleanUps.unshift(watch(reading, mostBytes));
    cleanUps.unshift(read(reading));
  }).finally(() => {
    for (const cleanUp of cleanUps) cleanUp();
  });
  if (upload.file?.length === 0)
    throw type === ''
      ? unexpectedType(type)
      : new AppError('empty_file', 'The file has 0 bytes: send a picture.');
  return upload;
}

/** An upload that is being read. */
interface Reading {
  request: Request;
  /** The decompressed body. */
  body: Readable;
  limits: UploadLimits;
  resolve: (upload: Upload) => void;
  reject: (error: unknown) => void;
}

const decompressors = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
]);

/** The decompressed body. Limits apply to its size, not to the compressed one. */
function decompress(request: Request, reject: Reading['reject']): Readable {
  const encoding = request.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity') return request;
  const make = decompressors.get(encoding.replace(/^x-/, ''));
  if (!make)
    throw new AppError(
      'malformed_upload',
      `Expected an uncompressed body, or gzip, deflate or br, but received Content-Encoding: ${encoding.slice(0, 40)}.`,
    );
  const body = make();
  body.on('error', (error) => {
    reject(malformed(`its ${encoding} compression is damaged or ends too early`, error));
  });
  return request.pipe(body);
}

/**
 * Rejects when the upload stalls or takes too long, the client disconnects, the form is complete but can't be parsed,
 * or it is larger than any form may be: bytes of other fields or before the first boundary do not count as the file's.
 *
 * @returns a function that ends the watch
 */
function watch({ request, body, limits, reject }: Reading, mostBytes: number): () => void {
  const { idleSeconds, seconds } = limits;
  const stopped = (why: string) => {
    reject(new AppError('upload_incomplete', `The upload was interrupted: ${why}.`));
  };
  const stopAfter = (time: number, why: string) => setTimeout(stopped, 1000 * time, why);
  const idle = stopAfter(idleSeconds, `nothing arrived for ${String(idleSeconds)} seconds`);
  const deadline = stopAfter(seconds, `it was not complete after ${String(seconds)} seconds`);
  let received = 0;
  const onData = (chunk: Buffer) => {
    idle.refresh();
    received += chunk.length;
    if (received > mostBytes) reject(tooLarge(limits));
  };
  const onClose = () => {
    if (!request.complete) stopped('the connection closed');
  };
  let unfinished: NodeJS.Timeout | undefined;
  const onEnd = () => {
    unfinished = setTimeout(() => {
      reject(malformed('it ends in the middle of a part'));
    }, parseMs);
  };
  body.on('data', onData).on('end', onEnd);
  request.on('close', onClose).on('error', onClose);
  return () => {
    for (const timer of [idle, deadline, unfinished]) clearTimeout(timer);
    body.off('data', onData).off('end', onEnd);
    request.off('close', onClose);
  };
}

function readRaw({ body, resolve }: Reading): () => void {
  const chunks: Buffer[] = [];
  const onData = (chunk: Buffer) => chunks.push(chunk);
  const onEnd = () => {
    resolve({ file: Buffer.concat(chunks), fields: {} });
  };
  body.on('data', onData).on('end', onEnd);
  return () => body.off('data', onData).off('end', onEnd);
}

function readForm({ request, body, limits, resolve, reject }: Reading): () => void {
  const refuse = (code: ErrorCode, detail: string) => {
    reject(new AppError(code, detail));
  };
  const fields = new Map<string, string | string[]>();
  let file: Buffer | undefined;
  const form = openForm(request, limits);
  form.on('file', (name, stream) => {
    stream.on('error', () => undefined); // the form reports the same error
    if (name !== fileField) {
      stream.resume();
      refuse(
        'unexpected_field',
        `Expected the picture in the field "${fileField}" but received "${name}".`,
      );
      return;
    }
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('limit', () => {
      chunks.length = 0;
      reject(tooLarge(limits));
    });
    stream.on('end', () => (file = Buffer.concat(chunks)));
  });
  // busboy's types ignore that a part may have no name. An exception in a listener would end the process.
  form.on('field', (name: string | undefined, latin1, { valueTruncated }) => {
    try {
      if (name === undefined) throw malformed('it has a field without a name');
      const bytes = Buffer.from(latin1, 'latin1');
      if (name === fileField) {
        // React Native and others send a picture without a file name; busboy takes it for text.
        if (valueTruncated) throw tooLarge(limits);
        if (sniffImage(bytes) === null)
          throw new AppError(
            'missing_file',
            `The field "${fileField}" contains text: send the picture itself, as a file.`,
          );
        file = bytes;
        return;
      }
      if (bytes.length > mostFieldBytes)
        throw malformed(
          `the field "${name.slice(0, 100)}" has more than ${String(mostFieldBytes)} bytes`,
        );
      const value = fieldText(latin1, bytes);
      const before = fields.get(name);
      fields.set(name, before === undefined ? value : [before, value].flat());
    } catch (error) {
      reject(error);
    }
  });
  form.on('filesLimit', () => {
    refuse('too_many_files', 'Expected one picture but received more: send one at a time.');
  });
  for (const limit of ['fieldsLimit', 'partsLimit'] as const)
    form.on(limit, () => {
      reject(malformed('it has too many fields'));
    });
  form.on('error', (error: unknown) => {
    reject(malformed(error instanceof Error ? error.message : 'it is no multipart form', error));
  });
  form.on('close', () => {
    if (file || String(fields.get('upload_id') ?? '').trim() !== '')
      resolve({ file, fields: Object.fromEntries(fields) });
    else
      refuse(
        'missing_file',
        `Expected a picture in the field "${fileField}" but the form has none.`,
      );
  });
  body.pipe(form);
  return () => body.unpipe(form);
}

function openForm(request: Request, { bytes }: UploadLimits) {
  const type = request.get('content-type') ?? '';
  if (!/^multipart\/form-data\b/i.test(type)) throw unexpectedType(type);
  try {
    return busboy({
      headers: request.headers,
      defParamCharset: 'utf8',
      defCharset: 'latin1', // bytes, which fieldText decodes
      limits: { fileSize: bytes, files: 1, fields: 50, parts: 51, fieldSize: bytes },
    });
  } catch (error) {
    throw unexpectedType(type, error);
  }
}

const unexpectedType = (type: string, cause?: unknown) =>
  new AppError(
    'malformed_upload',
    `Expected a multipart/form-data form with the picture in the field "${fileField}", or the picture itself as image/*, but received ${type.slice(0, 100) || 'no Content-Type'}${adviceOn(type)}.`,
    { cause },
  );

/** Advice on a wrong content type: the sender's probable mistake. */
function adviceOn(type: string): string {
  if (type.startsWith('multipart/'))
    return ' without a boundary: let the program that sends the form set Content-Type by itself';
  if (type.startsWith('application/x-www-form-urlencoded'))
    return " (as curl's --data-binary sends it: add -H 'Content-Type: image/jpeg', or use -F file=@cover.jpg)";
  if (type.startsWith('application/json'))
    return ": pictures can't be sent as JSON, not even as base64";
  return '';
}

/** The text of a field: UTF-8, unless its part named another encoding, which busboy has then decoded. */
function fieldText(latin1: string, bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return /[^\u0000-\u00ff]/.test(latin1) || text.includes('\uFFFD') ? latin1 : text;
}

const tooLarge = ({ bytes }: UploadLimits) =>
  new AppError(
    'upload_too_large',
    `The file is larger than ${String(bytes / 1024 / 1024)} MB: send a smaller one (1024 pixels on the longer side are enough).`,
  );

const malformed = (why: string, cause?: unknown) =>
  new AppError('malformed_upload', `The form could not be read: ${why}.`, { cause });
