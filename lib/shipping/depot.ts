/** A checksum of a file's content, as the place where it lies gives it. */
export interface ContentHash {
  /** `git`: SHA-1 over git's header and the content, as git names its blobs. */
  algorithm: 'sha256' | 'md5' | 'git';
  /** In hex. */
  value: string;
}

/** A file at a place that sets are fetched from and shipped to. */
export interface DepotFile {
  /** With slashes, e.g. `images/album_0.jpg`. */
  path: string;
  /** Bytes. */
  size: number;
  /** `undefined` where the place gives none that means anything: then it counts as another each time. */
  hash: ContentHash | undefined;
}

/** Bytes of a file from a place on. */
export interface DepotStream {
  /** Where the bytes begin: 0 where the place does not give ranges. */
  from: number;
  body: AsyncIterable<Uint8Array>;
}

export interface LocalFile {
  path: string;
  localPath: string;
}

/** A place that sets are fetched from and shipped to: a repository on the Hub, a prefix in S3, a folder. */
export interface Depot {
  /** What to call it in a message. */
  readonly name: string;
  /** Every file there. @throws AppError `storage_unavailable` or `assets_missing` */
  list(signal?: AbortSignal): AsyncIterable<DepotFile>;
  /**
   * @param from bytes that are not wanted again
   * @throws AppError `storage_unavailable`, or any other error where it is worth trying again
   */
  read(path: string, from: number, signal?: AbortSignal): Promise<DepotStream>;
  /**
   * Takes files away there, and puts others there: the last of them when all the others are in place.
   *
   * @yields the path of each file that is there for good
   * @throws AppError `storage_unavailable`
   */
  write(
    change: { files: readonly LocalFile[]; remove: readonly string[] },
    signal?: AbortSignal,
  ): AsyncIterable<string>;
}
