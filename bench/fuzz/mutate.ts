/** A small seeded generator (mulberry32): the same seed yields the same inputs. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer of 0 to n - 1. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % Math.max(1, n);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}

const oddBytes = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x5c];
const oddTexts = [
  'NaN',
  '1e999',
  '-1',
  '\0',
  '\uFEFF',
  '"',
  '\\',
  '%',
  '../',
  '<!---->',
  '\r\n',
  '[]',
  '😀',
];

/** Makes one to four changes to a valid input: bytes, lengths, parts repeated, removed or swapped, the end cut off. */
export function mutate(input: Uint8Array, random: Random): Buffer {
  let bytes = Buffer.from(input);
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    const at = random.below(random.below(2) === 0 ? Math.min(256, bytes.length) : bytes.length);
    const length = 1 + random.below(random.below(2) === 0 ? 8 : 2000);
    const [before, part, behind] = [
      bytes.subarray(0, at),
      bytes.subarray(at, at + length),
      bytes.subarray(at + length),
    ];
    switch (random.below(8)) {
      case 0:
        bytes = Buffer.from(bytes);
        if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        bytes = Buffer.from(bytes);
        if (bytes.length > 0) bytes[at] = random.pick(oddBytes);
        break;
      case 2:
        bytes = Buffer.from(bytes);
        if (at + 4 <= bytes.length)
          bytes.writeUInt32LE(random.pick([0, 1, 0x7fffffff, 0xffffffff, 1 << 20]), at);
        break;
      case 3:
        bytes = Buffer.concat([before, behind]);
        break;
      case 4:
        bytes = Buffer.concat([before, part, part, part, behind]);
        break;
      case 5:
        bytes = Buffer.concat([before, Buffer.from(random.pick(oddTexts)), behind]);
        break;
      case 6:
        bytes = Buffer.concat([behind, part, before]);
        break;
      default:
        bytes = bytes.subarray(0, at);
    }
  }
  return bytes;
}
