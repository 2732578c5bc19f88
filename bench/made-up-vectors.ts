import { Random } from '../tools/starter-set/random.ts';

/** As CLIP ViT-B/32 makes them. A power of two, for the rotation. */
export const dimension = 512;
const clusters = 4000;
/** Length of the mean of all vectors: two pictures have a cosine of about 0.5. */
const meanLength = 0.7;
/** Share of the variance that is between clusters. */
const shareBetween = 0.5;
/** Vectors per block. */
const blockSize = 1024;

/**
 * Unit vectors that are about as hard to search as CLIP's embeddings of pictures, of which the repository has too few: a
 * common mean, 4,000 clusters of unequal size that overlap, and variances that fall as a power of the axis, on axes that
 * are then rotated.
 *
 * The constants give, at 25,790 vectors, an intrinsic dimension of 24 (maximum likelihood, 100 neighbours), a median cosine of
 * 0.84 to the nearest vector and 0.79 to the tenth, and 0.49 ± 0.13 between any two. They were chosen for embeddings that are
 * hard to search; real ones of a million covers were not at hand to compare with.
 *
 * @param count number of vectors
 * @param draw vectors of another draw come from the same clusters: draw 0 is the index, others are queries
 * @returns blocks of n × 512
 */
// eslint-disable-next-line @typescript-eslint/require-await -- read like the vectors of a file
export async function* madeUpVectors(count: number, draw = 0): AsyncGenerator<Float32Array> {
  const fixed = new Random(1);
  const normals = Float32Array.from({ length: 2 ** 16 }, () => normal(fixed));
  const scales = Float32Array.from({ length: dimension }, (_, axis) => (10 + axis) ** -1.1);
  scaleTo(scales, Math.sqrt(1 - meanLength ** 2));
  const mean = Float32Array.from({ length: dimension }, () => normal(fixed));
  scaleTo(mean, meanLength);
  const centres = Float32Array.from(
    { length: clusters * dimension },
    (_, i) =>
      (mean[i % dimension] ?? 0) +
      Math.sqrt(shareBetween) * normal(fixed) * (scales[i % dimension] ?? 0),
  );
  const signs = Float32Array.from({ length: dimension }, () => (fixed.chance(0.5) ? 1 : -1));

  const random = new Random(1000 + draw);
  for (let from = 0; from < count; from += blockSize) {
    const block = new Float32Array(Math.min(blockSize, count - from) * dimension);
    for (let at = 0; at < block.length; at += dimension) {
      const vector = block.subarray(at, at + dimension);
      const centre = Math.floor(clusters * random.next() ** 2) * dimension; // the first ones are larger
      const spread =
        Math.sqrt(1 - shareBetween) *
        Math.exp(0.35 * (normals[random.integer(0, 2 ** 16 - 1)] ?? 0));
      for (let axis = 0; axis < dimension; axis += 1)
        vector[axis] =
          (centres[centre + axis] ?? 0) +
          spread * (scales[axis] ?? 0) * (normals[Math.floor(random.next() * 2 ** 16)] ?? 0);
      rotate(vector, signs);
      scaleTo(vector, 1);
    }
    yield block;
  }
}

/** A normal deviate (Box and Muller). */
const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());

function scaleTo(vector: Float32Array, length: number): void {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const factor = length / Math.sqrt(squares);
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] ?? 0) * factor;
}

/** Mixes all axes, keeping angles: signs and a Walsh–Hadamard transform, not scaled. */
function rotate(vector: Float32Array, signs: Float32Array): void {
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] ?? 0) * (signs[i] ?? 0);
  for (let half = 1; half < vector.length; half *= 2)
    for (let from = 0; from < vector.length; from += 2 * half)
      for (let i = from; i < from + half; i += 1) {
        const a = vector[i] ?? 0;
        const b = vector[i + half] ?? 0;
        vector[i] = a + b;
        vector[i + half] = a - b;
      }
}
