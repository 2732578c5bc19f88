import { randomUUID } from 'node:crypto';
import { AppError } from '../errors.ts';
import { readWhole, retryRead } from './read-whole.ts';
import { S3Folder } from './s3.ts';

/** Lifetime of a form, in seconds. */
const formSeconds = 300;

/** Pictures that clients upload to S3 themselves, each for one search. */
export class Uploads {
  readonly #folder: S3Folder;
  readonly #maxBytes: number;

  /** @param uri `s3://bucket/prefix` @param options.maxBytes largest size of a picture */
  constructor(uri: string, { pathStyle, maxBytes }: { pathStyle: boolean; maxBytes: number }) {
    this.#folder = S3Folder.open(uri, { pathStyle });
    this.#maxBytes = maxBytes;
  }

  /**
   * A form and an id for uploading one picture that is too large for a request.
   *
   * @param type the picture's media type, e.g. `image/jpeg`; the client must send exactly this one
   * @returns the form, `maxBytes`: largest size of the picture, `expiresIn`: lifetime of the form in seconds
   */
  async invite(type: string) {
    const uploadId = randomUUID();
    const form = await this.#folder.uploadForm(uploadId, type, this.#maxBytes, formSeconds);
    return { ...form, uploadId, maxBytes: this.#maxBytes, expiresIn: formSeconds };
  }

  /**
   * Reads a picture and deletes it: each is for one search.
   *
   * @throws AppError `upload_not_found`, `upload_too_large` or `storage_unavailable`
   */
  async take(uploadId: string): Promise<Buffer> {
    const picture = await retryRead(this.#folder.uri(uploadId), () => this.#read(uploadId));
    await this.#folder.delete(uploadId);
    return picture;
  }

  async #read(uploadId: string): Promise<Buffer> {
    const found = await this.#folder.open(uploadId, {});
    if (found === null || found === 'not_modified')
      throw new AppError(
        'upload_not_found',
        `There is no upload ${uploadId}: it was never sent, was searched by already, or is too old.`,
      );
    const expected = found.ContentLength ?? 0;
    if (expected > this.#maxBytes) {
      found.Body.destroy();
      throw new AppError(
        'upload_too_large',
        `The upload is larger than ${String(this.#maxBytes / 1024 / 1024)} MB: send a smaller one.`,
      );
    }
    return readWhole(found.Body, expected);
  }
}
