import { AppError } from '../errors.ts';
import { hasTooManyScans } from './jpeg-scans.ts';
import {
  acceptedFormats,
  sniffImage,
  sniffLength,
  type AcceptedFormat,
  type OtherFormat,
  type SniffedFormat,
} from './sniff.ts';
import type { Size } from './geometry.ts';

/** Names of the formats. */
const names: Record<AcceptedFormat, string> = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  avif: 'AVIF',
  heic: 'HEIC',
  tiff: 'TIFF',
  gif: 'GIF',
};

const allButLast = acceptedFormats.slice(0, -1).map((format) => names[format]);

/** `JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF` */
export const formatList = `${allButLast.join(', ')} or ${names[acceptedFormats.at(-1) ?? 'gif']}`;

const sendInstead = `send a ${formatList} picture`;

/** Names of the other formats, and whether they are pictures in an unsupported format or not pictures at all. */
const otherFormats: Record<OtherFormat, { name: string; picture: boolean }> = {
  bmp: { name: 'a BMP picture', picture: true },
  jxl: { name: 'a JPEG XL picture', picture: true },
  jp2: { name: 'a JPEG 2000 picture', picture: true },
  psd: { name: 'a Photoshop document', picture: true },
  ico: { name: 'an icon', picture: true },
  svg: { name: 'an SVG drawing', picture: false },
  pdf: { name: 'a PDF document', picture: false },
};

/**
 * The format of a query picture.
 *
 * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `malformed_upload`
 */
export function acceptedFormat(bytes: Buffer): AcceptedFormat {
  if (isMangled(bytes))
    throw new AppError(
      'malformed_upload',
      "The picture's bytes were converted as if they were UTF-8 text on their way here; they must be forwarded unchanged " +
        '(for API Gateway REST APIs, set binaryMediaTypes to */*).',
    );
  const format = sniffImage(bytes);
  if (format === null)
    throw new AppError(
      'not_an_image',
      `The file is not a picture, whatever its name says: ${sendInstead}.`,
    );
  if (format === 'jpeg') refuseManyScans(bytes);
  if (isAccepted(format)) return format;
  const { name, picture } = otherFormats[format];
  if (!picture)
    throw new AppError('not_an_image', `The file is ${name}, not a photo: ${sendInstead}.`);
  throw new AppError(
    'unsupported_image',
    `The file is ${name}, which cannot be read here: ${sendInstead}.`,
  );
}

/** @throws AppError `unreadable_image` if decoding a JPEG would take unbounded time */
export function refuseManyScans(jpeg: Buffer): void {
  if (hasTooManyScans(jpeg))
    throw new AppError(
      'unreadable_image',
      'The JPEG picture has too many scans: save or send it again.',
    );
}

/** U+FFFD in UTF-8, which replaces each byte that is not text. No picture has three of them at its start. */
const replacement = Buffer.from('\uFFFD');

const isMangled = (bytes: Uint8Array): boolean => {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, sniffLength));
  let at = -replacement.length;
  for (let found = 0; found < 3; found += 1) {
    at = head.indexOf(replacement, at + replacement.length);
    if (at < 0) return false;
  }
  return true;
};

const isAccepted = (format: string): format is AcceptedFormat =>
  (acceptedFormats as readonly string[]).includes(format);

/** libvips' message stays in the cause: it may reveal more about this machine than about the picture. */
export const unreadable = (format: SniffedFormat, cause: unknown): AppError =>
  new AppError(
    'unreadable_image',
    `The ${isAccepted(format) ? `${names[format]} ` : ''}picture is damaged or incomplete: save or send it again.`,
    { cause },
  );

export const tooLarge = ({ width, height }: Size, maxPixels: number): AppError =>
  new AppError(
    'image_too_large',
    `The picture has ${String(width)} x ${String(height)} pixels: expected at most ` +
      `${String(Math.floor(maxPixels / 1e6))} megapixels.`,
  );
