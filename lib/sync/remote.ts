/** A checksum of a file's content, as the remote gives it. */
export interface ContentHash {
  /** `git`: SHA-1 over git's header and the content, as git names its blobs. */
  algorithm: 'sha256' | 'md5' | 'git';
  /** In hex. */
  value: string;
}

/** A file on a remote. */
export interface RemoteFile {
  /** With slashes, e.g. `images/album_0.jpg`. */
  path: string;
  /** Bytes. */
  size: number;
  /** `undefined` where the remote gives none that can be used: then the file counts as changed each time. */
  hash: ContentHash | undefined;
}

/** Bytes of a file from an offset on. */
export interface RemoteStream {
  /** Offset of the first byte: 0 where the remote does not support ranges. */
  from: number;
  body: AsyncIterable<Uint8Array>;
}

export interface LocalFile {
  path: string;
  localPath: string;
}

/** What sets are pulled from and pushed to: a repository on the Hub, a prefix in S3, a folder. */
export interface Remote {
  /** What to call it in a message. */
  readonly name: string;
  /** Every file there. @throws AppError `storage_unavailable` or `assets_missing` */
  list(signal?: AbortSignal): AsyncIterable<RemoteFile>;
  /**
   * @param from offset to begin at, in bytes
   * @throws AppError `storage_unavailable`, or any other error where a retry may help
   */
  read(path: string, from: number, signal?: AbortSignal): Promise<RemoteStream>;
  /**
   * Deletes some files and uploads others, the last of which is written when all the others are in place.
   *
   * @yields the path of each file that is there for good
   * @throws AppError `storage_unavailable`
   */
  write(
    change: { files: readonly LocalFile[]; remove: readonly string[] },
    signal?: AbortSignal,
  ): AsyncIterable<string>;
}
