import { inTurns } from '../concurrency/in-turns.ts';
import type { AlbumColumns } from './album-columns.ts';

/** Finds the row of an id. A hash table with open addressing: 8 to 16 bytes an album, a tenth of a `Map`. */
export class RowTable {
  readonly #columns: AlbumColumns;
  /** Row + 1 at the id's place or the first free one after it; 0: free. */
  readonly #slots: Uint32Array;

  private constructor(columns: AlbumColumns) {
    this.#columns = columns;
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * columns.size + 1)));
  }

  /** @throws DuplicateId the second time that an id occurs */
  static async build(columns: AlbumColumns): Promise<RowTable> {
    const table = new RowTable(columns);
    const slots = table.#slots;
    await inTurns(blocksOf(columns.size), ([from, to]) => {
      for (let row = from; row < to; row += 1) {
        const id = columns.id(row);
        const slot = table.#slotOf(id);
        if (slots[slot] !== 0) throw new DuplicateId(id, row);
        slots[slot] = row + 1;
      }
    });
    return table;
  }

  /** `undefined` if no album has the id. */
  rowOf(id: number): number | undefined {
    const row = this.#slots[this.#slotOf(id)] ?? 0;
    return row === 0 ? undefined : row - 1;
  }

  /** The slot that holds the id, or the free one where it belongs. */
  #slotOf(id: number): number {
    const mask = this.#slots.length - 1;
    // Fibonacci hashing (Knuth, TAOCP 3, 6.4) of the low and high half of the id.
    let slot =
      (Math.imul((id % 2 ** 32) | 0, 0x9e3779b1) ^ Math.imul(id / 2 ** 32, 0x85ebca6b)) & mask;
    for (;;) {
      const row = this.#slots[slot] ?? 0;
      if (row === 0 || this.#columns.id(row - 1) === id) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

/** An id that two albums have. */
export class DuplicateId extends Error {
  readonly id: number;
  readonly row: number;

  constructor(id: number, row: number) {
    super(`the id ${String(id)} occurs twice`);
    this.id = id;
    this.row = row;
  }
}

/** Ranges of rows, each of which takes well under a millisecond. */
function* blocksOf(size: number): Generator<[number, number]> {
  const block = 1024;
  for (let from = 0; from < size; from += block) yield [from, Math.min(size, from + block)];
}
