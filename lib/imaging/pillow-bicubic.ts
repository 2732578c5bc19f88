import type { Region, Size } from './geometry.ts';

/**
 * Pillow's bicubic resampling of 8-bit RGB, bit for bit. Source: Pillow, `src/libImaging/Resample.c`
 * (`precompute_coeffs`, `normalize_coeffs_8bpc`, `ImagingResample*_8bpc`).
 *
 * Needed to enlarge pictures: there libvips interpolates differently from Pillow, with which the embeddings of the
 * covers were computed.
 */

/** Keys' cubic convolution kernel with Pillow's parameter. */
const a = -0.5;

/** Half the kernel's width in pixels, at a scale of 1. */
const kernelSupport = 2;

/** Weights are fixed-point: 32 bits less 8 for the pixel and 2 for the kernel's overshoot. */
const precisionBits = 32 - 8 - 2;

function kernel(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** The source pixels that contribute to one output pixel, and their fixed-point weights. */
interface Taps {
  first: number;
  weights: Int32Array;
}

/** Taps of the output pixels `from` to `from + count` of an edge resized from `source` to `resized` pixels. */
function tapsOf(source: number, resized: number, from: number, count: number): Taps[] {
  const scale = source / resized;
  const filterScale = Math.max(scale, 1);
  const support = kernelSupport * filterScale;
  return Array.from({ length: count }, (_, i) => {
    const centre = (from + i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), source);
    const weights = Array.from({ length: end - first }, (_, x) =>
      kernel((x + first - centre + 0.5) * (1 / filterScale)),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const fixed = weights.map((weight) => {
      const scaled = (weight / sum) * 2 ** precisionBits;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights: Int32Array.from(fixed) };
  });
}

/** The source pixels that contribute to any output pixel. */
function span(taps: readonly Taps[]): { start: number; length: number } {
  const start = Math.min(...taps.map(({ first }) => first));
  const end = Math.max(...taps.map(({ first, weights }) => first + weights.length));
  return { start, length: end - start };
}

/**
 * Plans to resize a picture and keep a region of the result.
 *
 * @param source size of the whole picture
 * @param resized size that the whole picture is resized to
 * @param kept the region of the resized picture to keep
 * @returns `needed`, the part of the source that the output depends on: nothing else has to be decoded; and `resample`,
 *   which takes RGB of that part and returns RGB of the kept region (3 bytes per pixel, rows without padding)
 */
export function planBicubic(source: Size, resized: Size, kept: Region) {
  const across = tapsOf(source.width, resized.width, kept.left, kept.width);
  const down = tapsOf(source.height, resized.height, kept.top, kept.height);
  const columns = span(across);
  const rows = span(down);
  const needed: Region = {
    left: columns.start,
    top: rows.start,
    width: columns.length,
    height: rows.length,
  };
  const resample = (pixels: Uint8Array): Uint8Array =>
    convolve(convolve(pixels, across, columns), down, rows);
  return { needed, resample };
}

/**
 * One of the two passes; each rounds to 8 bits, as Pillow's do. It resizes every row and transposes the picture, so
 * that the next pass finds its columns as rows and turns them back.
 *
 * @param row the source pixels that each row of `pixels` holds
 */
function convolve(
  pixels: Uint8Array,
  taps: readonly Taps[],
  row: { start: number; length: number },
): Uint8Array {
  const rows = pixels.length / (3 * row.length);
  const out = new Uint8ClampedArray(3 * taps.length * rows);
  let to = 0;
  for (const { first, weights } of taps) {
    for (let y = 0; y < rows; y++) {
      const from = 3 * (y * row.length + first - row.start);
      for (let channel = 0; channel < 3; channel++) {
        let sum = 1 << (precisionBits - 1);
        for (let x = 0; x < weights.length; x++)
          sum += (pixels[from + 3 * x + channel] ?? 0) * (weights[x] ?? 0);
        out[to++] = sum >> precisionBits;
      }
    }
  }
  return new Uint8Array(out.buffer);
}
