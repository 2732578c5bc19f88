import type sharpModule from 'sharp';
import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { lazy } from '../lazy.ts';
import { centralRegion, cropRgb, modelGeometry } from './geometry.ts';
import type { ModelFrame, Region, Size } from './geometry.ts';
import { decodeHeic } from './heic.ts';
import { planBicubic } from './pillow-bicubic.ts';
import { acceptedFormat, refuseManyScans, tooLarge, unreadable } from './refusal.ts';
import { sniffImage, type AcceptedFormat } from './sniff.ts';

export type { ModelFrame } from './geometry.ts';
export { sniffImage };

/**
 * sharp is imported here alone, and only when a picture has to be read or drawn: a handler that never
 * does so never loads libvips.
 *
 * - No operation cache: it would keep the pixels of uploads that never come twice (up to 50 MB).
 * - One libvips thread a picture: a second one gained nothing between 640x640 and 12 megapixels (the JPEG
 *   decoder is serial; 18.0 against 18.2 ms at 12 MP) and costs buffers of its own. Pictures are
 *   decoded beside each other on libuv's pool instead.
 */
const loadSharp = lazy(async (): Promise<typeof sharpModule> => {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
});

/** Largest picture, in pixels, that is decoded whole in order to be enlarged; longer ones are mere threads. */
const wholeWhenSmall = 1_000_000;

export interface DecodeOptions {
  frame: ModelFrame;
  /** Turn the picture as its EXIF orientation says. Default: true. */
  autoOrient?: boolean;
  /** Largest picture to decode, in pixels. Default: {@link defaultMaxPixels}. */
  maxPixels?: number;
}

/** 64 megapixels: more than nearly every phone takes, and 192 MB where a picture must be held whole. */
export const defaultMaxPixels = 64_000_000;

/** Of a picture longer than this many times its width only the middle is looked at: the crop is inside. */
const longestRatio = 8;

/** Largest picture, in pixels, that is held whole as RGB (48 MB) in order to drop its alpha before the resize. */
const wholeInMemory = 16_000_000;

/** Greys that a transparent picture is laid over, in turn, until something is seen of it: docs/alpha.md. */
const grounds = [255, 0] as const;
/** Steps from the ground up to which nothing is seen: alphas of 1 to 8 leave no more. */
const faintest = 8;

/**
 * Decodes a picture into what a model sees of it, as Pillow and transformers' `CLIPImageProcessor` do:
 * embedded colour profiles are ignored, CMYK is converted naively, the resize is bicubic and the crop central.
 * The first frame of an animation counts. Unlike theirs, a transparent picture is laid over white (`grounds`).
 *
 * @param bytes an encoded picture, in one of `acceptedFormats`
 * @returns RGB, 0 to 255, `crop` x `crop` x 3 bytes, rows from the top
 * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `image_too_large`
 */
export function decodeForModel(bytes: Buffer, options: DecodeOptions): Promise<Uint8Array> {
  const { frame } = options;
  return decodePicture(bytes, options, (picture, mended) =>
    mended ? decode(picture, frame) : decodeOpaque(picture, frame),
  );
}

/** A grey picture: one byte a pixel, rows from the top. */
export interface Grey extends Size {
  pixels: Uint8Array;
}

/**
 * Decodes a picture to grey, upright, and shrinks it to fit a square; one that is smaller stays as large as it is. A
 * transparent picture is laid over white.
 *
 * @param bytes an encoded picture, in one of `acceptedFormats`
 * @param options.side edge of the square in pixels
 * @throws AppError as `decodeForModel`
 */
export function decodeGrey(
  bytes: Buffer,
  options: Omit<DecodeOptions, 'frame'> & { side: number },
): Promise<Grey> {
  return decodePicture(bytes, options, (picture) => readGrey(picture, options.side));
}

/**
 * Both of one picture, decoded once where that costs nothing (`decodedOnce`): what {@link decodeForModel} makes of it,
 * but for the rounding of one that is turned (a step of 1/255), and what {@link decodeGrey} does.
 *
 * @throws AppError as `decodeForModel`
 */
export function decodeForModelAndGrey(
  bytes: Buffer,
  options: DecodeOptions & { side: number },
): Promise<{ rgb: Uint8Array; grey: Grey }> {
  const { frame, side } = options;
  return decodePicture(bytes, options, async (picture, mended) => {
    const once = await decodedOnce(picture, frame);
    const rgb = await (mended ? decode(once, frame) : decodeOpaque(once, frame));
    return { rgb, grey: await readGrey(once, side) };
  });
}

async function readGrey(picture: Picture, side: number): Promise<Grey> {
  const reader = (await open(picture))
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .flatten({ background: '#fff' })
    .toColourspace('b-w');
  const { data, info } = await reader.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== 1) throw new Error(`Expected 1 channel but found ${String(info.channels)}`);
  return { pixels: data, width: info.width, height: info.height };
}

/**
 * The picture as upright pixels. The picture itself where the model would be given others: it is transparent, has
 * other than 8 bits or is CMYK; where it is too large to be held; and where it is a JPEG that the decoder shrinks: shrunk
 * twice, once for each, it takes no longer than once at full size.
 */
async function decodedOnce(picture: Picture, frame: ModelFrame): Promise<Picture> {
  const { header, format, raw } = picture;
  const { width, height } = header;
  const shrinks =
    format === 'jpeg' && (evenShrink(header, modelGeometry(header, frame).resized) ?? 1) > 1;
  if (raw || header.hasAlpha || !header.plain || shrinks || width * height > wholeInMemory)
    return picture;
  const rgb = await readRgb(await open(picture), picture);
  return {
    ...picture,
    bytes: Buffer.from(rgb.buffer, rgb.byteOffset, rgb.byteLength),
    raw: { width, height, channels: 3 },
    autoOrient: false,
  };
}

/**
 * Runs `read` over a picture whose header is within the limits, and again over one whose lost end could be mended.
 *
 * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `image_too_large`
 */
async function decodePicture<T>(
  bytes: Buffer,
  { autoOrient = true, maxPixels = defaultMaxPixels }: Omit<DecodeOptions, 'frame'>,
  read: (picture: Picture, mended: boolean) => Promise<T>,
): Promise<T> {
  const picture = withoutLead(bytes);
  const format = acceptedFormat(picture);
  await loadSharp(); // a library that can't be loaded is no fault of the picture's
  try {
    const source = await sourceOf(picture, maxPixels);
    const header = await readHeader(source, autoOrient);
    if (header.width * header.height > maxPixels) throw tooLarge(header, maxPixels);
    const whole = { ...source, format, autoOrient, header };
    try {
      return await read(whole, false);
    } catch (error) {
      const mended = isDecodeError(error) && format === 'jpeg' ? await mendedEnd(whole) : null;
      if (!mended) throw error;
      return await read(mended, true);
    }
  } catch (error) {
    throw isDecodeError(error) ? unreadable(format, error) : error;
  }
}

/**
 * What libvips says of a picture that it can't decode reaches us as a plain `Error`; ours and programming errors are of
 * other classes, the system's have a code, and a lack of memory is none of the picture's doing.
 */
const isDecodeError = (error: unknown): error is Error =>
  error instanceof Error &&
  error.constructor === Error &&
  !('code' in error) &&
  !/out of memory|unable to (create|start) thread/i.test(error.message);

/** A byte order mark and blanks, which careless programs write before a picture. */
const lead = new Set([0xef, 0xbb, 0xbf, 0x0d, 0x0a, 0x20]);

/** The picture without what stands before it: some bytes of `lead`, where a JPEG begins behind them. */
function withoutLead(bytes: Buffer): Buffer {
  let at = 0;
  while (at < 16 && lead.has(bytes[at] ?? -1)) at += 1;
  return at > 0 && sniffImage(bytes.subarray(at)) === 'jpeg' ? bytes.subarray(at) : bytes;
}

/** Share of a JPEG's rows that may be missing at its end. */
const mostMissing = 0.02;
/** Pixels that a block of JPEG is high at most: fewer rows are not told apart. */
const blockHeight = 16;
/** What libjpeg puts in the place of pixels that did not come: mid-grey. */
const filler = 128;
const endMarker = Buffer.of(0xff, 0xd9);

/**
 * A JPEG that lost its last bytes, where (nearly) all of its pixels are there: only the marker at its end is missing, or
 * a fiftieth of the rows of a baseline JPEG, whose rows come one after the other. `null` where more is missing.
 */
async function mendedEnd(picture: Picture): Promise<Picture | null> {
  const sharp = await loadSharp();
  const { header } = picture;
  const ended = { ...picture, bytes: Buffer.concat([picture.bytes, endMarker]) };
  const strict = { failOn: 'warning', limitInputPixels: false } as const; // too few pixels are a warning to libjpeg
  const isWhole = await readToEnd(sharp(ended.bytes, strict)).then(
    () => true,
    () => false,
  );
  if (isWhole) return ended;
  const lenient = { failOn: 'none', limitInputPixels: false, ignoreIcc: true } as const;
  const { width, height } = await sharp(picture.bytes, lenient).metadata();
  const bottom = Math.floor(height * (1 - mostMissing));
  if (header.progressive || header.cmyk || height - bottom < blockHeight) return null;
  const last = await sharp(picture.bytes, lenient)
    .extract({ left: width - 1, top: bottom - 1, width: 1, height: 1 })
    .toColourspace('srgb')
    .raw()
    .toBuffer();
  return last.some((value) => value !== filler) ? { ...picture, cutShort: true } : null;
}

/**
 * Decodes every pixel, for the errors that this finds. `stats()` would do, but loses them: one time in five where others
 * decode beside it (sharp 0.35.5; test/imaging). Naming the colour space is sharp's way to have a JPEG decoded at full
 * size.
 */
const readToEnd = (reader: Sharp): Promise<Buffer> =>
  reader.pipelineColourspace('srgb').resize(8, 8, { fit: 'fill' }).raw().toBuffer();

interface Header extends Size {
  hasAlpha: boolean;
  /** Eight bits a channel, RGB or grey. */
  plain: boolean;
  progressive: boolean;
  cmyk: boolean;
}

/** What sharp is given: the file, or the pixels of one that it can't decode. */
interface Source {
  bytes: Buffer;
  raw?: Size & { channels: 3 };
}

/** @throws AppError `image_too_large` or `unreadable_image` where the picture has to be decoded for it */
async function sourceOf(bytes: Buffer, maxPixels: number): Promise<Source> {
  if (sniffImage(bytes) !== 'heic') return { bytes };
  const { rgb, width, height } = await decodeHeic(bytes, maxPixels);
  return { bytes: rgb, raw: { width, height, channels: 3 } };
}

async function openSource({ bytes, raw }: Source, options: SharpOptions): Promise<Sharp> {
  const sharp = await loadSharp();
  return sharp(bytes, raw ? { ...options, raw } : options);
}

interface Picture extends Source {
  format: AcceptedFormat;
  autoOrient: boolean;
  header: Header;
  /** Grey that it is laid over; without one its alpha is dropped. */
  ground?: number;
  /** Its last rows are missing, which is put up with. */
  cutShort?: boolean;
}

/** Size as it will be seen, that is after orientation. Reads no pixels. */
async function readHeader(source: Source, autoOrient: boolean): Promise<Header> {
  const reader = await openSource(source, { limitInputPixels: false });
  const found: Metadata = await reader.metadata();
  const { width, height } = autoOrient ? found.autoOrient : found;
  return {
    width,
    height,
    hasAlpha: found.hasAlpha,
    plain: found.depth === 'uchar' && (found.space === 'srgb' || found.space === 'b-w'),
    cmyk: found.space === 'cmyk',
    progressive: found.isProgressive,
  };
}

/** A reader of the picture in which nothing has been decoded yet. */
async function open({ autoOrient, cutShort = false, ...source }: Picture): Promise<Sharp> {
  const reader = await openSource(source, {
    // `warning`, sharp's default, also refuses pictures with stray bytes that every viewer shows.
    failOn: cutShort ? 'none' : 'error',
    // The header has been checked against a limit of ours.
    limitInputPixels: false,
    ignoreIcc: true,
  });
  return autoOrient ? reader.autoOrient() : reader;
}

/** Over the first ground that shows anything; without its alpha where none does, as where all of it is 0. */
async function decodeOpaque(picture: Picture, frame: ModelFrame): Promise<Uint8Array> {
  for (const ground of picture.header.hasAlpha ? grounds : []) {
    const seen = await decode({ ...picture, ground }, frame);
    if (seen.some((value) => Math.abs(value - ground) > faintest)) return seen;
  }
  return decode(picture, frame);
}

async function decode(picture: Picture, frame: ModelFrame): Promise<Uint8Array> {
  const { header } = picture;
  const { resized, kept } = modelGeometry(header, frame);
  if (header.width < resized.width || header.height < resized.height) {
    const { needed, resample } = planBicubic(header, resized, kept);
    return resample(await readRegion(picture, needed));
  }
  const middle = frame.resize === 'exact' ? wholeOf(header) : centralRegion(header, longestRatio);
  const { resized: size, kept: crop } = modelGeometry(middle, frame);
  return cropRgb(await readResized(picture, middle, size), size.width, crop);
}

const wholeOf = ({ width, height }: Size): Region => ({ left: 0, top: 0, width, height });

/** RGB of a part of the picture at its own size. */
async function readRegion(picture: Picture, region: Region): Promise<Uint8Array> {
  const { width, height } = picture.header;
  // A picture of ordinary shape is decoded to its end, so that a truncated one is noticed.
  if (width * height <= wholeWhenSmall)
    return cropRgb(await readRgb(await open(picture), picture), width, region);
  return readRgb((await open(picture)).extract(region), picture);
}

/** RGB of a part of the picture, shrunk to `size`. The whole width and height are resized: see `decode`. */
async function readResized(picture: Picture, region: Region, size: Size): Promise<Uint8Array> {
  const { header } = picture;
  const shrink = { ...size, fit: 'fill', kernel: 'cubic', fastShrinkOnLoad: false } as const;
  const whole = region.width === header.width && region.height === header.height;
  const part = async () => {
    const reader = await open(picture);
    return whole ? reader : reader.extract(region);
  };
  // sharp resizes with alpha as weight, unless a ground has taken it away before.
  if (
    header.hasAlpha &&
    picture.ground === undefined &&
    region.width * region.height <= wholeInMemory
  ) {
    const sharp = await loadSharp();
    const { width, height } = region;
    const rgb = await readRgb(await part(), picture);
    return readRgb(sharp(rgb, { raw: { width, height, channels: 3 } }).resize(shrink), picture);
  }
  const reader = (await part()).resize(shrink);
  if (picture.format === 'jpeg' && !picture.raw && !header.cmyk && !evenShrink(header, size))
    // Naming the colour space is sharp's way to have a JPEG decoded at full size.
    reader.pipelineColourspace('srgb');
  return readRgb(reader, picture);
}

/**
 * The factor by which a JPEG is shrunk while it is decoded, `undefined` where it does not divide the edges. One that
 * does halves the time and comes closer to Pillow than libvips' own shrinking; another one pads the picture to the next
 * multiple, which shifts everything (cosine 0.994 against 0.9995 on the tiny model at 1500 x 1125).
 * The factors are sharp's: with `fastShrinkOnLoad: false` it leaves at least half of the shrinking undone.
 */
function evenShrink(source: Size, target: Size): number | undefined {
  const shrink = Math.min(source.width / target.width, source.height / target.height);
  const factor = [8, 4, 2].find((candidate) => shrink >= 2 * candidate) ?? 1;
  return source.width % factor === 0 && source.height % factor === 0 ? factor : undefined;
}

/** Runs the reader. @returns RGB, 3 bytes a pixel, without alpha */
async function readRgb(reader: Sharp, { header, ground }: Picture): Promise<Uint8Array> {
  if (header.cmyk) return cmykToRgb(await readCmyk(reader));
  // sharp does this before the resize, though told after it.
  if (ground !== undefined) reader.flatten({ background: { r: ground, g: ground, b: ground } });
  return pixels(reader.removeAlpha().toColourspace('srgb'), 3);
}

/** @throws Error where there are other than so many channels, as in a picture that a satellite took */
async function pixels(reader: Sharp, channels: number): Promise<Uint8Array> {
  const { data, info } = await reader.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== channels)
    throw new Error(`Expected ${String(channels)} channels but found ${String(info.channels)}`);
  return data;
}

/** CMYK as it is stored: otherwise libvips converts it through a profile, which Pillow does not. */
const readCmyk = (reader: Sharp): Promise<Uint8Array> =>
  pixels(reader.removeAlpha().pipelineColourspace('cmyk').toColourspace('cmyk'), 4);

/** Pillow's conversion (`Convert.c`, `cmyk2rgb`): each inverted ink times the inverted black. */
function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - (cmyk[from + 3] ?? 0);
    for (let ink = 0; ink < 3; ink++)
      rgb[to++] = Math.round(((255 - (cmyk[from + ink] ?? 0)) * light) / 255);
  }
  return rgb;
}

/** Quality by format, at which a cover of 320 pixels has no flaw that one sees: 5 to 15 KB. */
const thumbnailQuality = { avif: 50, webp: 75, jpeg: 80 } as const;

/**
 * Shrinks a cover to fit a square; one that is smaller stays as large as it is.
 *
 * @param size edge of the square in pixels
 * @throws AppError `unreadable_image` where it is damaged
 */
export async function shrinkCover(
  bytes: Buffer,
  size: number,
  format: keyof typeof thumbnailQuality,
): Promise<Buffer> {
  if (sniffImage(bytes) === 'jpeg') refuseManyScans(bytes);
  await loadSharp();
  try {
    const source = await sourceOf(bytes, defaultMaxPixels);
    const shrunk = (await openSource(source, { failOn: 'error' }))
      .autoOrient()
      .resize(size, size, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#fff' });
    const quality = thumbnailQuality[format];
    // Effort 2 of 9: a tenth of a second less for 5 % more bytes.
    const encoded =
      format === 'avif'
        ? shrunk.avif({ quality, effort: 2 })
        : shrunk.toFormat(format, { quality });
    return await encoded.toBuffer();
  } catch (error) {
    throw isDecodeError(error) ? unreadable(sniffImage(bytes) ?? 'jpeg', error) : error;
  }
}

/** Quality of a cover that had to be made a JPEG: beyond it only the file grows. */
const jpegQuality = 92;

/**
 * A picture as a JPEG: one that is a JPEG stays as it is, byte for byte. It is decoded to its end either way.
 *
 * @throws AppError `not_an_image`, `unsupported_image` or `unreadable_image`
 */
export async function asJpeg(bytes: Buffer): Promise<Buffer> {
  const picture = withoutLead(bytes);
  const format = acceptedFormat(picture);
  await loadSharp();
  try {
    const source = await sourceOf(picture, defaultMaxPixels);
    const opened = await openSource(source, {
      failOn: 'error',
      limitInputPixels: defaultMaxPixels,
    });
    if (format === 'jpeg') {
      await readToEnd(opened);
      return picture;
    }
    return await opened
      .autoOrient()
      .flatten({ background: '#fff' })
      .jpeg({ quality: jpegQuality })
      .toBuffer();
  } catch (error) {
    throw isDecodeError(error) ? unreadable(format, error) : error;
  }
}
