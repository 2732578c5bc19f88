/**
 * What native/faiss/binding.cc adds to the package, whose own types cover the rest. Where it could not be built,
 * upstream's prebuilt binary is used, which has none of these. The binding in turn lacks upstream's `new Index`,
 * `read`, `search`, `toBuffer`, `fromBuffer` and `mergeFrom`, and its other classes.
 */
export {};

declare module 'faiss-node' {
  /** Result of `nearest`: one row per query, best first, padded with the label -1. */
  interface TypedSearchResult {
    distances: Float32Array;
    labels: Int32Array;
  }

  interface Index {
    /** @param x n concatenated vectors, read in place; only the prebuilt binary takes an array of numbers */
    add(x: Float32Array): void;
    /** Trains in a separate thread. @param x n vectors, read in place */
    train(x: Float32Array): Promise<void>;
    /**
     * Runs n queries in a separate thread; the index cannot be changed meanwhile.
     *
     * @param x n concatenated vectors; copied
     * @param k neighbours per query; all vectors if there are fewer
     * @param among the rows to search, or a bitmap of them (a multiple of 4 bytes). Exact, with one exception
     *   (docs/index-types.md). Copied.
     * @throws RangeError if a row is out of range
     */
    nearest(
      x: Float32Array,
      k: number,
      among?: Uint32Array | Uint8Array,
    ): Promise<TypedSearchResult>;
    /** Lengths (L2 norms) of the vectors of these rows, as the index stores them; computed in a separate thread. */
    lengths(rows: Uint32Array): Promise<Float64Array>;
    /** The vector of a row, as the index stores it. @throws RangeError if the row is out of range */
    reconstruct(row: number): Float32Array;
    /** The ids of the vectors in the file (`IndexIDMap`, `add_with_ids`), by row; `undefined` if it has none. */
    ids(): Float64Array | undefined;
    /** Scales every vector to length 1, in a separate thread; `false` if the type does not store vectors unchanged. */
    normalise(): Promise<boolean>;
    /** Number of cells of an inverted file; 0 if the index has none. */
    cells(): number;
    /** Number of cells that a search visits; 0 if the index has none. @param n sets it; `write` saves it */
    probes(n?: number): number;
    /** Candidates that a search in a graph keeps; 0 if the index has none. @param n sets it; `write` saves it */
    breadth(n?: number): number;
    /** Candidates for each result that are compared with the refined vectors; 0 if it has none. @param n sets it */
    candidates(n?: number): number;
    /** Frees the vectors now; a running search keeps them until it ends. No other method works afterwards. */
    dispose(): void;
  }

  namespace Index {
    /**
     * Reads an index file in a separate thread.
     *
     * @param mapFrom lists of codes of as many bytes are mapped into memory instead; default: none
     * @throws Error `not served: …` if not every method works on its type
     */
    function open(path: string, mapFrom?: number): Promise<Index>;
    /** Ends the training that is under way, which rejects. */
    function interruptTraining(): void;
    /** Number of cores that all searches together may use. Default: 1. */
    function setCores(cores: number): void;
    /** Returns freed memory to the system, in a separate thread; resolves to whether there was any. */
    function trimMemory(): Promise<boolean>;
  }
}
