import { VarintReader, varintLength, writeVarint } from './varint.ts';

/** Bytes of a chunk of the list of what was added, and most bytes of one pair in it. */
const [chunkBytes, pairBytes] = [65_536, 10];

/** Number of terms that are counted before others get a turn. */
const slice = 4096;

/** The ascending entries of each term, kept as differences of mostly one or two bytes. */
export class Postings {
  /** Position of each term's first byte; one more for the end of the last. */
  readonly #starts: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #bytes: Uint8Array;

  /** Called by {@link PostingsBuilder}. */
  constructor(starts: Uint32Array, counts: Uint32Array, bytes: Uint8Array) {
    this.#starts = starts;
    this.#counts = counts;
    this.#bytes = bytes;
  }

  /** Number of a term's entries. */
  count(term: number): number {
    return this.#counts[term] ?? 0;
  }

  /** Reads a term's entries. */
  entries(term: number): Entries {
    return new Entries(new VarintReader(this.#bytes, this.#starts[term], this.#starts[term + 1]));
  }
}

/** Reads ascending entries one after the other. */
export class Entries {
  readonly #differences: VarintReader;
  #last = 0;

  constructor(differences: VarintReader) {
    this.#differences = differences;
  }

  get done(): boolean {
    return this.#differences.done;
  }

  next(): number {
    this.#last += this.#differences.next();
    return this.#last;
  }
}

/** Collects entries, then sorts them by term. Terms are integers from 0. */
export class PostingsBuilder {
  /** Pairs in the order they were added: difference to the entry before, and term. */
  readonly #chunks: Uint8Array[] = [];
  #chunk = new Uint8Array(0);
  #at = 0;
  #before = 0;
  /** The entry of the current text, and the number of texts so far. */
  #entry = 0;
  #texts = 0;
  /** Of each term: the last text, its number of entries, the bytes that they will take, and the last. */
  readonly #text: number[] = [];
  readonly #counts: number[] = [];
  readonly #sizes: number[] = [];
  readonly #last: number[] = [];

  /** @param entry of all terms of the text; below 2³², not less than the one before */
  startText(entry: number): void {
    this.#texts += 1;
    this.#entry = entry;
  }

  /** Adds a term of the text, unless it was already. @param term at most one more than all before */
  add(term: number): void {
    if (this.#text[term] === this.#texts) return;
    this.#text[term] = this.#texts;
    const entry = this.#entry;
    this.#counts[term] = (this.#counts[term] ?? 0) + 1;
    this.#sizes[term] = (this.#sizes[term] ?? 0) + varintLength(entry - (this.#last[term] ?? 0));
    this.#last[term] = entry;
    if (this.#at + pairBytes > this.#chunk.length) this.#startChunk();
    this.#at = writeVarint(this.#chunk, this.#at, entry - this.#before);
    this.#at = writeVarint(this.#chunk, this.#at, term);
    this.#before = entry;
  }

  #startChunk(): void {
    if (this.#at > 0) this.#chunks.push(this.#chunk.subarray(0, this.#at));
    this.#chunk = new Uint8Array(chunkBytes);
    this.#at = 0;
  }

  /**
   * A counting sort; yields between slices of it.
   *
   * @param placeOf the term that each one becomes: a permutation
   */
  *build(placeOf: Uint32Array): Generator<undefined, Postings> {
    this.#startChunk();
    const terms = placeOf.length;
    const counts = new Uint32Array(terms);
    const starts = new Uint32Array(terms + 1);
    // First one position late, so that writing a term's entries moves its start to where it belongs.
    const late = starts.subarray(1);
    for (let term = 0; term < terms; term += 1) {
      const place = placeOf[term] ?? 0;
      counts[place] = this.#counts[term] ?? 0;
      late[place] = this.#sizes[term] ?? 0;
      if (term % slice === 0) yield;
    }
    let total = 0;
    for (let place = 0; place < terms; place += 1) {
      const size = late[place] ?? 0;
      late[place] = total;
      total += size;
      if (place % slice === 0) yield;
    }
    const bytes = new Uint8Array(total);
    const last = new Uint32Array(terms);
    let entry = 0;
    for (const chunk of this.#chunks) {
      for (const pairs = new VarintReader(chunk); !pairs.done;) {
        entry += pairs.next();
        const place = placeOf[pairs.next()] ?? 0;
        late[place] = writeVarint(bytes, late[place] ?? 0, entry - (last[place] ?? 0));
        last[place] = entry;
      }
      yield;
    }
    return new Postings(starts, counts, bytes);
  }
}
