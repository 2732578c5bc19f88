import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

/** Deterministic noise bytes. */
export function noise(length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i += 1)
    blocks.push(
      createHash('sha256')
        .update(`noise ${String(i)}`)
        .digest(),
    );
  return Buffer.concat(blocks).subarray(0, length);
}

/** The checksum of PNG chunks; Node before 20.15 has no crc32. */
const crc32 = (data: Buffer): number => {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
};

const pngChunk = (type: string, data: Buffer): Buffer => {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, crc]);
};

/** A small PNG file that decodes to 10,000 × 10,000 pixels. */
export async function bomb(): Promise<Buffer> {
  return sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: '#808080' } })
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** The picture with its alpha channel dropped, as PNG; unchanged if it has none. */
export async function withoutAlpha(bytes: Buffer): Promise<Buffer> {
  const { hasAlpha } = await sharp(bytes).metadata();
  return hasAlpha ? sharp(bytes).removeAlpha().png({ compressionLevel: 1 }).toBuffer() : bytes;
}

/** A small HEIC photo as an iPhone writes it. */
export const heicPhoto = readFileSync(
  fileURLToPath(new URL('../fixtures/heic/photo.heic', import.meta.url)),
);

/** The first bytes of a phone's HEIC photo, followed by noise. */
export const brokenHeic = Buffer.concat([
  Buffer.from([0, 0, 0, 24]),
  Buffer.from('ftypheic\0\0\0\0heicmif1', 'latin1'),
  noise(4096),
]);

/** The first bytes of a JPEG XL picture, followed by noise. */
export const jxl = Buffer.concat([Buffer.from([0xff, 0x0a]), noise(4096)]);

export const svg = Buffer.from(
  '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="red"/></svg>',
);

/** A PNG with a valid header and invalid pixel data. */
export const brokenPng = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  pngChunk('IHDR', Buffer.from([0, 0, 1, 0, 0, 0, 1, 0, 8, 2, 0, 0, 0])),
  pngChunk('IDAT', noise(500)),
  pngChunk('IEND', Buffer.alloc(0)),
]);

/**
 * A cover as a large photo file: enlarged, with grain, and padded with comments, like the metadata of cameras.
 *
 * @param size size of the file in bytes
 */
export async function largePhoto(cover: Buffer, size: number): Promise<Buffer> {
  const edge = Math.round(Math.sqrt(size) * 0.9);
  const grain = { width: 64, height: 64, channels: 4 } as const;
  const photo = await sharp(cover)
    .resize(edge, edge)
    .composite([{ input: noise(64 * 64 * 4), raw: grain, blend: 'soft-light', tile: true }])
    .jpeg({ quality: 80 })
    .toBuffer();
  const comments: Buffer[] = [];
  for (let left = size - photo.length; left >= 4;) {
    const length = Math.min(left - 2, 0xffff);
    const head = Buffer.from([0xff, 0xfe, length >> 8, length & 0xff]);
    comments.push(Buffer.concat([head, noise(length - 2)]));
    left -= length + 2;
  }
  const start = photo.subarray(0, 2); // the start-of-image marker
  return Buffer.concat([start, ...comments, photo.subarray(2)]);
}

/**
 * A progressive JPEG whose last scan is repeated many times. The repetitions change no pixel, but each makes the
 * decoder process the whole picture again.
 */
export async function manyScans(times: number, edge = 64): Promise<Buffer> {
  const jpeg = await sharp({
    create: { width: edge, height: edge, channels: 3, background: '#888' },
  })
    .jpeg({ progressive: true })
    .toBuffer();
  const [body, end] = [jpeg.subarray(0, -2), jpeg.subarray(-2)];
  const scan = Buffer.from(body.subarray(body.lastIndexOf(Buffer.from([0xff, 0xda]))));
  scan[scan.readUInt16BE(2) + 1] = 0; // a full scan instead of a refinement
  return Buffer.concat([body, ...Array<Buffer>(times).fill(scan), end]);
}
