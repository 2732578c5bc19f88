/**
 * IEEE 754 half precision, for graphs with float16 inputs or outputs: `Float16Array` exists only from Node 24 on, and
 * onnxruntime-node passes the bits in a `Uint16Array`.
 */
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** @returns the bits of each value, rounded to nearest; values out of range become infinite */
export function toHalfBits(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, halfBits);
}

function halfBits(value: number): number {
  float[0] = value;
  const single = bits[0] ?? 0;
  const sign = (single >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return sign | 0x7e00;
  // 65520 is half-way between the largest half (65504) and the next power of two.
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 halves are multiples of 2^-24; rounding up to 2^-14 itself gives the right bits too.
  if (magnitude < 2 ** -14) return sign | Math.round(magnitude * 2 ** 24);
  // Exponent bias 127 to 15, 13 bits less of mantissa, ties to even; a carry moves into the exponent.
  const rounded = (single & 0x7fffffff) + 0xfff + ((single >>> 13) & 1);
  return sign | ((rounded - (112 << 23)) >>> 13);
}

/** @param halves bits, as returned by {@link toHalfBits} */
export function fromHalfBits(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0x1f) return mantissa ? NaN : sign * Infinity;
    if (exponent === 0) return sign * mantissa * 2 ** -24;
    return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  });
}
