/** A checksum of a file's content, as the remote reports it. */
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
  /** `undefined` if the remote reports no usable one: the file then counts as changed every time. */
  hash: ContentHash | undefined;
}

/** The bytes of a file from an offset to the end. */
export interface RemoteStream {
  /** Offset of the first byte: 0 if the remote does not support ranges. */
  from: number;
  body: AsyncIterable<Uint8Array>;
}

export interface LocalFile {
  path: string;
  localPath: string;
}

/** A place to pull sets from and push them to: a repository on the Hub, a prefix in S3, a folder. */
export interface Remote {
  /** Its name in messages. */
  readonly name: string;
  /** Lists every file. @throws AppError `storage_unavailable` or `assets_missing` */
  list(signal?: AbortSignal): AsyncIterable<RemoteFile>;
  /**
   * @param from offset to begin at, in bytes
   * @throws AppError `storage_unavailable`, or any other error if a retry may help
   */
  read(path: string, from: number, signal?: AbortSignal): Promise<RemoteStream>;
  /**
   * Deletes some files and uploads others; the last one is written when all the others are in place.
   *
   * @yields the path of each file once it is stored permanently
   * @throws AppError `storage_unavailable`
   */
  write(
    change: { files: readonly LocalFile[]; remove: readonly string[] },
    signal?: AbortSignal,
  ): AsyncIterable<string>;
}
