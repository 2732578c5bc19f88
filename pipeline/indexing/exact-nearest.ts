import { VectorIndex } from '../../lib/vectors/vector-index.ts';

/** The exact nearest vectors of a few queries, among vectors that pass by in blocks and are not kept. */
export class ExactNearest {
  readonly #queries: readonly Float32Array[];
  readonly #depth: number;
  /** By query, best first. */
  #best: { row: number; score: number }[][];
  #rows = 0;

  /** @param depth how many to find for each query */
  constructor(queries: readonly Float32Array[], depth: number) {
    this.#queries = queries;
    this.#depth = depth;
    this.#best = queries.map(() => []);
  }

  /** @param vectors the next n × dimension */
  async add(vectors: Float32Array, dimension: number): Promise<void> {
    const block = await VectorIndex.create({ dimension, metric: 'inner_product' });
    block.add(vectors);
    const found = await Promise.all(this.#queries.map((query) => block.search(query, this.#depth)));
    block.dispose();
    this.#best = this.#best.map((best, i) =>
      [
        ...best,
        ...Array.from(found[i]?.rows ?? [], (row, at) => ({
          row: this.#rows + row,
          score: found[i]?.distances[at] ?? NaN,
        })),
      ]
        .sort((a, b) => b.score - a.score || a.row - b.row)
        .slice(0, this.#depth),
    );
    this.#rows += vectors.length / dimension;
  }

  /** The rows found, by query. */
  get rows(): Set<number>[] {
    return this.#best.map((best) => new Set(best.map(({ row }) => row)));
  }
}
