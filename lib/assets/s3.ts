import { createReadStream } from 'node:fs';
import { PassThrough, pipeline, type Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
  type GetObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { createPresignedPost, type PresignedPost } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { withoutSlash } from '../config/config.ts';
import { AppError, isAppError, preconditionFailed, rangeNotSatisfiable } from '../errors.ts';

/** Attempts per request, made by the SDK with its own back-off. */
const attempts = 4;
/** Connection timeout, in milliseconds. */
const connectTimeoutMs = 2_000;
/** Idle timeout of a body, in milliseconds: time without a byte. */
const idleTimeoutMs = 5_000;
/** Idle timeout of the socket; longer, so that a stalled body fails with our message. */
const responseTimeoutMs = 6_000;

/** Size of a part of a multipart upload, in bytes; a smaller file is sent in one request. Parts are held in memory. */
const partBytes = 8 * 2 ** 20;
const partsAtATime = 2;

type Operation = 'read from' | 'written to';

export type ObjectInfo = NonNullable<Awaited<ReturnType<S3Folder['info']>>>;

/** Values of HTTP headers with which an object is requested. */
export interface Conditions {
  range?: string | undefined;
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
  ifModifiedSince?: string | undefined;
  ifUnmodifiedSince?: string | undefined;
}

export interface PutOptions {
  /** `Content-Type` of the object. */
  type: string;
  cacheControl?: string | undefined;
  /** In hex; stored with the object, so that downloads can be verified. */
  sha256: string;
  /** Aborts the request. */
  signal?: AbortSignal | undefined;
}

export type ObjectStream = Omit<GetObjectCommandOutput, 'Body'> & { Body: Readable };

/** The objects under a prefix of a bucket. The only user of the AWS SDK. */
export class S3Folder {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  private constructor(client: S3Client, bucket: string, prefix: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  /**
   * Endpoint, region and credentials come from the SDK's own chain (environment, profile, role).
   *
   * @param uri `s3://bucket` or `s3://bucket/prefix`
   */
  static open(uri: string, { pathStyle }: { pathStyle: boolean }): S3Folder {
    const [bucket = '', ...path] = uri.slice('s3://'.length).split('/');
    const client = new S3Client({
      forcePathStyle: pathStyle,
      maxAttempts: attempts,
      requestHandler: { connectionTimeout: connectTimeoutMs, socketTimeout: responseTimeoutMs },
      // Other S3 implementations lack the SDK's newer checksums; downloads are verified by our own code.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      logger: silent, // callers report errors
    });
    return new S3Folder(client, bucket, withoutSlash(path.join('/')));
  }

  /** A folder below this one, in the same bucket. */
  folder(name: string): S3Folder {
    return new S3Folder(this.#client, this.#bucket, this.#key(name));
  }

  /** An object's name in messages and in the cache. */
  uri(name: string): string {
    return `s3://${this.#bucket}/${this.#key(name)}`;
  }

  /** Every object under the prefix, listed page by page. @throws AppError `storage_unavailable` */
  async *all(): AsyncGenerator<{ name: string; size: number; md5: string | undefined }> {
    const { Bucket, Key: Prefix } = this.#at('');
    const seen = new Set<string>();
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken: token });
      const page = await this.#ask('', () => this.#client.send(command));
      for (const { Key = '', Size = 0, ETag = '' } of page.Contents ?? [])
        yield { name: Key.slice(Prefix.length), size: Size, md5: plainMd5(ETag) };
      token = page.NextContinuationToken;
      if (token !== undefined && seen.has(token))
        throw this.#unavailable('', new Error('its listing repeats and never ends'));
      seen.add(token ?? '');
    } while (token !== undefined);
  }

  /**
   * Uploads a file; a large one in parts, which S3 hides until all are complete.
   *
   * @throws AppError `storage_unavailable`
   */
  async put(name: string, path: string, options: PutOptions): Promise<void> {
    const { signal, type: ContentType, cacheControl: CacheControl, sha256 } = options;
    const upload = new Upload({
      client: this.#client,
      params: {
        ...this.#at(name),
        Body: createReadStream(path),
        ContentType,
        CacheControl,
        Metadata: { sha256 },
      },
      partSize: partBytes,
      queueSize: partsAtATime,
      // Each upload needs its own signal, because the library sets `onabort`.
      abortController: { signal: AbortSignal.any(signal ? [signal] : []), abort: () => undefined },
    });
    await this.#ask(name, () => upload.done(), 'written to');
  }

  /** An object's metadata, `null` if there is no such object. @throws AppError `storage_unavailable` */
  async info(name: string) {
    const head = await this.headers(name, {});
    if (head === null || head === 'not_modified') return null;
    const etag = head.ETag ?? '';
    const encrypted = head.ServerSideEncryption?.startsWith('aws:') === true;
    const customerKey = head.SSECustomerAlgorithm !== undefined;
    return {
      /** Bytes. */
      size: head.ContentLength ?? 0,
      /** With its quotes. */
      etag,
      /** MD5 of the content in hex, if the ETag is one: not for multipart uploads, nor with a KMS key. */
      md5: encrypted || customerKey ? undefined : plainMd5(etag),
      /** SHA-256 of the content in hex, if the uploader stored it (`x-amz-meta-sha256`). */
      sha256: head.Metadata?.['sha256'],
    };
  }

  /** The headers of an object; `not_modified` if the conditions say so, `null` if there is no such object. */
  headers(name: string, conditions: Conditions) {
    const command = new HeadObjectCommand({ ...this.#at(name), ...asInput(conditions) });
    return this.#find(name, () => this.#client.send(command));
  }

  /**
   * Opens an object, or a range of it. The stream fails if the connection breaks; the data read by then is incomplete.
   *
   * @returns `not_modified` if the conditions say so, `null` if there is no such object
   * @throws AppError `storage_unavailable`, `range_not_satisfiable` or `precondition_failed`
   */
  async open(
    name: string,
    { signal, ...conditions }: Conditions & { signal?: AbortSignal | undefined },
  ): Promise<ObjectStream | 'not_modified' | null> {
    const command = new GetObjectCommand({ ...this.#at(name), ...asInput(conditions) });
    const answer = await this.#find(name, () =>
      this.#client.send(command, { ...(signal && { abortSignal: signal }) }),
    );
    if (answer === null || answer === 'not_modified') return answer;
    return { ...answer, Body: withIdleTimeout(answer.Body as Readable) };
  }

  /** Deletes an object; a missing one is no error. @throws AppError `storage_unavailable` */
  async delete(name: string): Promise<void> {
    const command = new DeleteObjectCommand(this.#at(name));
    await this.#ask(name, () => this.#client.send(command));
  }

  /** A URL that gives anybody access to the object for this many seconds. Sends no request to S3. */
  signedUrl(name: string, seconds: number): Promise<string> {
    return getSignedUrl(this.#client, new GetObjectCommand(this.#at(name)), { expiresIn: seconds });
  }

  /**
   * A form with which anybody may upload one object. S3 enforces its policy, which fixes key, type and largest size.
   *
   * @param most largest size, in bytes
   * @param seconds until the form expires
   */
  uploadForm(name: string, type: string, most: number, seconds: number): Promise<PresignedPost> {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- its own copy of the type
    return createPresignedPost(this.#client, {
      ...this.#at(name),
      Fields: { 'Content-Type': type },
      Conditions: [
        ['content-length-range', 1, most],
        ['eq', '$Content-Type', type],
      ],
      Expires: seconds,
    });
  }

  #key(name: string): string {
    return this.#prefix === '' ? name : `${this.#prefix}/${name}`;
  }

  #at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#key(name) };
  }

  async #find<T>(name: string, ask: () => Promise<T>): Promise<T | 'not_modified' | null> {
    try {
      return await ask();
    } catch (error) {
      const status = statusOf(error);
      if (status === 304) return 'not_modified';
      if (status === 404) return null;
      if (status === 412) throw preconditionFailed(error);
      if (status === 416) throw rangeNotSatisfiable(error);
      throw this.#unavailable(name, error);
    }
  }

  async #ask<T>(name: string, ask: () => Promise<T>, operation?: Operation): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw this.#unavailable(name, error, operation);
    }
  }

  #unavailable(name: string, cause: unknown, operation: Operation = 'read from'): AppError {
    const right = operation === 'read from' ? 'read' : 'write';
    const advice =
      statusOf(cause) === 403 ? `; the role or key must be allowed to ${right} it` : '';
    return new AppError(
      'storage_unavailable',
      `${this.uri(name)} could not be ${operation} S3 (${nameOf(cause)}${advice}).`,
      { cause },
    );
  }
}

/** S3's name for an error; for other errors the network's code, or the message. */
const nameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name !== 'Error') return error.name;
  return 'code' in error ? String(error.code) : error.message;
};

const ignore = () => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

/** An ETag that looks like an MD5 is that of the content; the ETag of a multipart upload has another form. */
const plainMd5 = (etag: string): string | undefined => /^"([0-9a-f]{32})"$/.exec(etag)?.[1];

/** Buffer between S3 and a slow reader, in bytes: larger than a cover or a range of a download. */
const bufferBytes = 16 * 2 ** 20;

/**
 * Fails a stream that delivers no data for a while: a socket may stay open forever. A slow reader does not trigger it,
 * because the buffer absorbs what arrives meanwhile.
 */
function withIdleTimeout(body: Readable): Readable {
  const through = new PassThrough({ highWaterMark: bufferBytes });
  const timer = setTimeout(() => {
    body.destroy(new Error(`received no data from S3 for ${String(idleTimeoutMs / 1000)} s`));
  }, idleTimeoutMs);
  body.on('data', () => timer.refresh());
  pipeline(body, through, () => {
    clearTimeout(timer); // an error reaches the reader
  });
  return through;
}

const asInput = (options: Conditions) => ({
  Range: options.range,
  IfMatch: options.ifMatch,
  IfNoneMatch: options.ifNoneMatch,
  IfModifiedSince: dateOf(options.ifModifiedSince),
  IfUnmodifiedSince: dateOf(options.ifUnmodifiedSince),
});

/** A header that is not a date is ignored (RFC 9110, 13.1.3). */
const dateOf = (header: string | undefined): Date | undefined =>
  header === undefined || Number.isNaN(Date.parse(header)) ? undefined : new Date(header);

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } } | null | undefined)?.$metadata
    ?.httpStatusCode;

/** Whether S3 reported that the object is no longer the requested version (`If-Match`). */
export const isOtherVersion = (error: unknown): boolean =>
  isAppError(error) && error.code === 'precondition_failed';
