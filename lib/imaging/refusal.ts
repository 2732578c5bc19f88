import { AppError } from '../errors.ts';
import type { Size } from './geometry.ts';
import { refuseManyScans } from './jpeg-scans.ts';
import { acceptedFormats, otherFormats, sniffImage, sniffLength } from './sniff.ts';
import type { AcceptedFormat, SniffedFormat } from './sniff.ts';

const names = Object.values(acceptedFormats);

/** `JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF` */
export const formatList = [names.slice(0, -1).join(', '), names.at(-1)].join(' or ');

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
  const refusal = (code: 'not_an_image' | 'unsupported_image', is: string) =>
    new AppError(code, `The file is ${is}: send a ${formatList} picture.`);
  const format = sniffImage(bytes);
  if (format === null) throw refusal('not_an_image', 'not a picture, whatever its name says');
  if (format === 'jpeg') refuseManyScans(bytes);
  if (isAccepted(format)) return format;
  const { name, picture } = otherFormats[format];
  throw picture
    ? refusal('unsupported_image', `${name}, which cannot be read here`)
    : refusal('not_an_image', `${name}, not a photo`);
}

/** U+FFFD in UTF-8, as latin-1: it replaces each byte that is not text. No picture has three of them at its start. */
const replacement = '\xef\xbf\xbd';

const isMangled = (bytes: Buffer): boolean =>
  bytes.toString('latin1', 0, sniffLength).split(replacement).length > 3;

const isAccepted = (format: SniffedFormat): format is AcceptedFormat => format in acceptedFormats;

/** libvips' message stays in the cause: it may reveal more about this machine than about the picture. */
export const unreadable = (format: SniffedFormat, cause: unknown): AppError =>
  new AppError(
    'unreadable_image',
    `The ${isAccepted(format) ? `${acceptedFormats[format]} ` : ''}picture is damaged or incomplete: save or send it again.`,
    { cause },
  );

export const tooLarge = ({ width, height }: Size, maxPixels: number): AppError =>
  new AppError(
    'image_too_large',
    `The picture has ${String(width)} x ${String(height)} pixels: expected at most ` +
      `${String(Math.floor(maxPixels / 1e6))} megapixels.`,
  );
