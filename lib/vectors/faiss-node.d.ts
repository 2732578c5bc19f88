/**
 * What native/faiss/binding.cc adds to the package, whose own types tell the rest. Where it could not be built, upstream's
 * prebuilt binary has none of it. It has none of upstream's `new Index`, `read`, `search`, `toBuffer`, `fromBuffer` and
 * `mergeFrom`, nor its other classes.
 */
export {};

declare module 'faiss-node' {
  /** What `nearest` answers: as many rows as queries, each best first and filled up with the label -1. */
  interface TypedSearchResult {
    distances: Float32Array;
    labels: Int32Array;
  }

  interface Index {
    /** @param x n vectors, one after the other, read where they lie; an array of numbers only with the prebuilt binary */
    add(x: Float32Array): void;
    /** @param x n vectors, likewise */
    train(x: Float32Array): void;
    /**
     * Queries n vectors, in a thread of its own; the index can not be changed meanwhile.
     *
     * @param x n vectors, one after the other; copied
     * @param k how many for each; more than there are gives all
     * @param rows search among these only, exactly, whatever the type of the index; copied
     * @throws RangeError where a row is beyond the index
     */
    nearest(x: Float32Array, k: number, rows?: Uint32Array): Promise<TypedSearchResult>;
    /** The lengths of the vectors of these rows, as the index stores them; in a thread of its own. */
    lengths(rows: Uint32Array): Promise<Float64Array>;
    /** The vector of a row, as the index stores it. @throws RangeError where the row is beyond the index */
    reconstruct(row: number): Float32Array;
    /** The ids that the vectors had in the file (`IndexIDMap`, `add_with_ids`), by row; `undefined` where they had none. */
    ids(): Float64Array | undefined;
    /** Scales every vector to length 1; `false` where the type does not store them as they are. In a thread of its own. */
    normalise(): Promise<boolean>;
    /** Cells of an inverted file; 0 where the index has none. */
    cells(): number;
    /** Cells of an inverted file that a search looks into; 0 where the index has none. @param n sets it, in the file too */
    probes(n?: number): number;
    /** Frees the vectors now; a search under way keeps them until it ends. Nothing else works after that. */
    dispose(): void;
  }

  namespace Index {
    /** The index in a file, which is read in a thread of its own. @throws Error `not served: …` where not every method works */
    function open(path: string): Promise<Index>;
    /** How many cores searches may use, all together. Default: 1. */
    function setCores(cores: number): void;
    /** Gives back to the system what was freed, in a thread of its own; a promise of whether that was anything. */
    function trimMemory(): Promise<boolean>;
  }
}
