import type sharpModule from 'sharp';
import type { Sharp, SharpOptions } from 'sharp';
import { lazy } from '../concurrency/lazy.ts';
import { centralRegion, cropRgb, modelGeometry } from './geometry.ts';
import type { ModelFrame, Region, Size } from './geometry.ts';
import { decodeHeic } from './heic.ts';
import { refuseManyScans } from './jpeg-scans.ts';
import { planBicubic } from './pillow-bicubic.ts';
import { acceptedFormat, tooLarge, unreadable } from './refusal.ts';
import { sniffImage, type AcceptedFormat, type SniffedFormat } from './sniff.ts';

/**
 * Only this module imports sharp, and only when a picture has to be decoded or encoded: a handler that never does so
 * never loads libvips.
 *
 * - No operation cache: it would keep the pixels of uploads that are never repeated (up to 50 MB).
 * - One libvips thread per picture: a second one gained nothing between 640x640 and 12 megapixels (the JPEG decoder is
 *   serial; 18.0 against 18.2 ms at 12 MP) and needs its own buffers. Instead, pictures are decoded concurrently on
 *   libuv's pool.
 */
const loadSharp = lazy(async (): Promise<typeof sharpModule> => {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
});

/** Largest picture, in pixels, that is decoded whole to be enlarged; larger ones that need it are extremely narrow. */
const wholeWhenSmall = 1_000_000;

export interface DecodeOptions {
  frame: ModelFrame;
  /** Rotate the picture according to its EXIF orientation. Default: true. */
  autoOrient?: boolean;
  /** Largest picture to decode, in pixels. Default: {@link defaultMaxPixels}. */
  maxPixels?: number;
}

/** 64 megapixels: more than nearly every phone takes, and 192 MB if a picture must be held whole. */
export const defaultMaxPixels = 64_000_000;

/** Above this aspect ratio, only the middle of a picture is processed: it contains the crop. */
const longestRatio = 8;

/** Largest picture, in pixels, that is held whole as RGB (48 MB) in order to drop its alpha before the resize. */
const wholeInMemory = 16_000_000;

/** Grey backgrounds for transparent pictures, tried in turn until something is visible: docs/alpha.md. */
const grounds = [255, 0] as const;
/** Maximum difference from the background that counts as invisible: alphas of 1 to 8 leave no more. */
const faintest = 8;

/**
 * Decodes a picture into a model's input, as Pillow and transformers' `CLIPImageProcessor` do: embedded colour profiles
 * are ignored, CMYK is converted naively, the resize is bicubic and the crop central. Only the first frame of an
 * animation is used. Unlike them, it lays a transparent picture over white (`grounds`).
 *
 * @param bytes an encoded picture, in one of `acceptedFormats`
 * @returns RGB, 0 to 255, `crop` x `crop` x 3 bytes, top row first
 * @throws AppError `not_an_image`, `unsupported_image`, `unreadable_image` or `image_too_large`
 */
export function decodeForModel(bytes: Buffer, options: DecodeOptions): Promise<Uint8Array> {
  return decodePicture(bytes, options, (picture) => decodeOpaque(picture, options.frame));
}

/** A grey picture: one byte per pixel, top row first. */
export interface Grey extends Size {
  pixels: Uint8Array;
}

/**
 * Decodes a picture to grey, upright, and shrinks it to fit a square; a smaller picture keeps its size. A transparent
 * picture is composited over white.
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
 * The results of {@link decodeForModel} and {@link decodeGrey}, with a single decode if that costs nothing
 * (`decodedOnce`). The former may differ by rounding (a step of 1/255) if the picture is rotated.
 *
 * @throws AppError as `decodeForModel`
 */
export function decodeForModelAndGrey(
  bytes: Buffer,
  options: DecodeOptions & { side: number },
): Promise<{ rgb: Uint8Array; grey: Grey }> {
  const { frame, side } = options;
  return decodePicture(bytes, options, async (picture) => {
    const once = await decodedOnce(picture, frame);
    return { rgb: await decodeOpaque(once, frame), grey: await readGrey(once, side) };
  });
}

const readGrey = (picture: Picture, side: number): Promise<Grey> =>
  readPixels(overWhite(open(picture), side).toColourspace('b-w'), 1);

/** The picture over white, shrunk to fit a square; a smaller one keeps its size. */
const overWhite = (reader: Sharp, side: number): Sharp =>
  reader
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .flatten({ background: '#fff' });

/**
 * The picture as upright RGB pixels. The picture itself if the model's input would differ (it is transparent, not
 * 8-bit, or CMYK), if it is too large to be held, or if it is a JPEG that the decoder shrinks: shrinking it twice, once
 * per result, takes no longer than decoding it once at full size.
 */
async function decodedOnce(picture: Picture, frame: ModelFrame): Promise<Picture> {
  const { header, format, raw } = picture;
  const { width, height } = header;
  const shrinks =
    format === 'jpeg' && (evenShrink(header, modelGeometry(header, frame).resized) ?? 1) > 1;
  if (raw || header.hasAlpha || !header.plain || shrinks || width * height > wholeInMemory)
    return picture;
  const bytes = await readRgb(picture);
  return { ...picture, bytes, raw: { width, height, channels: 3 }, autoOrient: false };
}

/** Runs `read` on a picture whose header is within the limits, and again if it fails but the end can be mended. */
async function decodePicture<T>(
  bytes: Buffer,
  { autoOrient = true, maxPixels = defaultMaxPixels }: Omit<DecodeOptions, 'frame'>,
  read: (picture: Picture) => Promise<T>,
): Promise<T> {
  const picture = withoutLead(bytes);
  const format = acceptedFormat(picture);
  return readSource(picture, format, maxPixels, async (source) => {
    const header = await readHeader(source, autoOrient);
    if (header.width * header.height > maxPixels) throw tooLarge(header, maxPixels);
    const whole = { ...source, format, autoOrient, header };
    try {
      return await read(whole);
    } catch (error) {
      const mended = isDecodeError(error) && format === 'jpeg' ? await mendedEnd(whole) : null;
      if (!mended) throw error;
      return await read(mended);
    }
  });
}

/** Runs `read` on sharp's input. @throws AppError `unreadable_image` if libvips fails; as {@link decodeHeic} */
async function readSource<T>(
  bytes: Buffer,
  format: SniffedFormat,
  maxPixels: number,
  read: (source: Source) => Promise<T>,
): Promise<T> {
  const sharp = await loadSharp(); // before the try: a failure to load is not the picture's fault
  try {
    if (format !== 'heic') return await read({ sharp, bytes });
    const { rgb, ...size } = await decodeHeic(bytes, maxPixels);
    return await read({ sharp, bytes: rgb, raw: { ...size, channels: 3 } });
  } catch (error) {
    throw isDecodeError(error) ? unreadable(format, error) : error;
  }
}

/**
 * libvips reports a picture that it cannot decode as a plain `Error`; our errors and programming errors are of other
 * classes, the system's have a code, and a lack of memory is not the picture's fault.
 */
const isDecodeError = (error: unknown): error is Error =>
  error instanceof Error &&
  error.constructor === Error &&
  !('code' in error) &&
  !/out of memory|unable to (create|start) thread/i.test(error.message);

/** A byte order mark and whitespace, which careless programs write before a picture. */
const lead = new Set([0xef, 0xbb, 0xbf, 0x0d, 0x0a, 0x20]);

/** Removes bytes of `lead` before a JPEG; other pictures are returned unchanged. */
function withoutLead(bytes: Buffer): Buffer {
  let at = 0;
  while (at < 16 && lead.has(bytes[at] ?? -1)) at += 1;
  return at > 0 && sniffImage(bytes.subarray(at)) === 'jpeg' ? bytes.subarray(at) : bytes;
}

/** Share of a JPEG's rows that may be missing at its end. */
const mostMissing = 0.02;
/** Maximum height of a JPEG's blocks in pixels: fewer missing rows cannot be detected. */
const blockHeight = 16;
/** libjpeg fills in missing pixels with mid-grey. */
const filler = 128;
const endMarker = Buffer.of(0xff, 0xd9);

/**
 * Repairs a JPEG that lost its last bytes, if (nearly) all of its pixels are present: only the end marker is missing,
 * or up to a fiftieth of the rows of a baseline JPEG, whose rows are stored in order. `null` if more is missing.
 */
async function mendedEnd(picture: Picture): Promise<Picture | null> {
  const { header } = picture;
  const ended = { ...picture, bytes: Buffer.concat([picture.bytes, endMarker]) };
  const strict = { failOn: 'warning', limitInputPixels: false } as const; // libjpeg only warns about missing pixels
  const isWhole = await readToEnd(openSource(ended, strict)).then(
    () => true,
    () => false,
  );
  if (isWhole) return ended;
  const cut = { ...picture, cutShort: true };
  const stored = { ...cut, autoOrient: false };
  const { width, height } = await open(stored).metadata();
  const bottom = Math.floor(height * (1 - mostMissing));
  if (header.progressive || header.cmyk || height - bottom < blockHeight) return null;
  const last = await open(stored)
    .extract({ left: width - 1, top: bottom - 1, width: 1, height: 1 })
    .toColourspace('srgb')
    .raw()
    .toBuffer();
  return last.some((value) => value !== filler) ? cut : null;
}

/**
 * Decodes every pixel to find errors. `stats()` would do, but loses them one time in five if other decodes run
 * concurrently (sharp 0.35.5; test/imaging). Naming the colour space makes sharp decode a JPEG at full size.
 */
const readToEnd = (reader: Sharp): Promise<Buffer> =>
  reader.pipelineColourspace('srgb').resize(8, 8, { fit: 'fill' }).raw().toBuffer();

/** sharp's input: the file, or the pixels of a picture that it cannot decode. */
interface Source {
  sharp: typeof sharpModule;
  bytes: Buffer;
  raw?: Size & { channels: 3 };
}

const openSource = ({ sharp, bytes, raw }: Source, options: SharpOptions): Sharp =>
  sharp(bytes, raw ? { ...options, raw } : options);

interface Picture extends Source {
  format: AcceptedFormat;
  autoOrient: boolean;
  header: Awaited<ReturnType<typeof readHeader>>;
  /** Grey background; if absent, the alpha channel is dropped. */
  ground?: number;
  /** Its last rows are missing, which is tolerated. */
  cutShort?: boolean;
}

/** Size after orientation. Reads no pixels. */
async function readHeader(source: Source, autoOrient: boolean) {
  const found = await openSource(source, { limitInputPixels: false }).metadata();
  const { width, height } = autoOrient ? found.autoOrient : found;
  return {
    width,
    height,
    hasAlpha: found.hasAlpha,
    /** Eight bits per channel, RGB or grey. */
    plain: found.depth === 'uchar' && (found.space === 'srgb' || found.space === 'b-w'),
    cmyk: found.space === 'cmyk',
    progressive: found.isProgressive,
  };
}

/** A reader of the picture that has not decoded anything yet. */
function open({ autoOrient, cutShort = false, ...source }: Picture): Sharp {
  const reader = openSource(source, {
    // `warning`, sharp's default, would also refuse pictures with stray bytes that every viewer shows.
    failOn: cutShort ? 'none' : 'error',
    // The header has been checked against our own limit.
    limitInputPixels: false,
    ignoreIcc: true,
  });
  return autoOrient ? reader.autoOrient() : reader;
}

/** Over the first background that makes anything visible; without alpha if none does, e.g. if it is 0 everywhere. */
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
  const middle = centralRegion(header, frame.resize === 'exact' ? Infinity : longestRatio);
  const { resized: size, kept: crop } = modelGeometry(middle, frame);
  return cropRgb(await readResized(picture, middle, size), 3 * size.width, crop);
}

/** RGB of a region of the picture at its original size. */
async function readRegion(picture: Picture, region: Region): Promise<Uint8Array> {
  const { width, height } = picture.header;
  // A picture of ordinary shape is decoded to its end, so that truncation is detected.
  if (width * height <= wholeWhenSmall) return cropRgb(await readRgb(picture), 3 * width, region);
  return readRgb(picture, open(picture).extract(region));
}

/** RGB of a region of the picture, shrunk to `size`. `decode` crops afterwards. */
async function readResized(picture: Picture, region: Region, size: Size): Promise<Uint8Array> {
  const { sharp, header, ground } = picture;
  const { width, height } = region;
  const shrink = { ...size, fit: 'fill', kernel: 'cubic', fastShrinkOnLoad: false } as const;
  const whole = width === header.width && height === header.height;
  const part = whole ? open(picture) : open(picture).extract(region);
  // sharp resizes with alpha as weight, unless it has been flattened onto a background.
  if (header.hasAlpha && ground === undefined && width * height <= wholeInMemory) {
    const rgb = await readRgb(picture, part);
    return readRgb(picture, sharp(rgb, { raw: { width, height, channels: 3 } }).resize(shrink));
  }
  const reader = part.resize(shrink);
  if (picture.format === 'jpeg' && !picture.raw && !header.cmyk && !evenShrink(header, size))
    // Naming the colour space makes sharp decode a JPEG at full size.
    reader.pipelineColourspace('srgb');
  return readRgb(picture, reader);
}

/**
 * The factor by which a JPEG is shrunk while it is decoded, or `undefined` if it does not divide the edges. One that
 * does halves the time and comes closer to Pillow than libvips' own shrinking; any other pads the picture to the next
 * multiple, which shifts everything (cosine 0.994 instead of 0.9995 on the tiny model at 1500 x 1125). The factors are
 * sharp's: with `fastShrinkOnLoad: false` it leaves at least a factor of 2 to the resize.
 */
function evenShrink(source: Size, target: Size): number | undefined {
  const shrink = Math.min(source.width / target.width, source.height / target.height);
  const factor = [8, 4, 2].find((candidate) => shrink >= 2 * candidate) ?? 1;
  return source.width % factor === 0 && source.height % factor === 0 ? factor : undefined;
}

/** Runs a reader of the picture. @returns RGB, 3 bytes per pixel, without alpha */
async function readRgb(picture: Picture, reader = open(picture)): Promise<Buffer> {
  const { header, ground } = picture;
  reader.removeAlpha();
  if (header.cmyk) {
    // As stored: otherwise libvips converts it through a profile, which Pillow does not.
    const cmyk = await readPixels(reader.pipelineColourspace('cmyk').toColourspace('cmyk'), 4);
    return cmykToRgb(cmyk.pixels);
  }
  // sharp flattens before it resizes, whatever the order of the calls.
  if (ground !== undefined) reader.flatten({ background: { r: ground, g: ground, b: ground } });
  return (await readPixels(reader.toColourspace('srgb'), 3)).pixels;
}

/** @throws Error if the number of channels differs, as in satellite pictures */
async function readPixels(reader: Sharp, channels: number): Promise<Size & { pixels: Buffer }> {
  const { data, info } = await reader.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) {
    const expected = channels === 1 ? '1 channel' : `${String(channels)} channels`;
    throw new Error(`Expected ${expected} but found ${String(info.channels)}`);
  }
  return { pixels: data, width: info.width, height: info.height };
}

/** Pillow's conversion (`Convert.c`, `cmyk2rgb`): each inverted ink times the inverted black. */
function cmykToRgb(cmyk: Buffer): Buffer {
  const rgb = Buffer.alloc((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - (cmyk[from + 3] ?? 0);
    for (let ink = 0; ink < 3; ink++)
      rgb[to++] = Math.round(((255 - (cmyk[from + ink] ?? 0)) * light) / 255);
  }
  return rgb;
}

/**
 * Quality by format at which a cover of 320 pixels has no visible flaw: 5 to 15 KB. Effort 2 of 9 saves a tenth of a
 * second for 5 % more bytes.
 */
const thumbnails = {
  avif: { quality: 50, effort: 2 },
  webp: { quality: 75 },
  jpeg: { quality: 80 },
};

/**
 * Shrinks a cover to fit a square; a smaller one keeps its size.
 *
 * @param size edge of the square in pixels
 * @throws AppError `unreadable_image` if it is damaged
 */
export async function shrinkCover(
  bytes: Buffer,
  size: number,
  format: keyof typeof thumbnails,
): Promise<Buffer> {
  const stored = sniffImage(bytes);
  if (stored === 'jpeg') refuseManyScans(bytes);
  return readSource(bytes, stored ?? 'jpeg', defaultMaxPixels, (source) =>
    overWhite(openSource(source, { failOn: 'error' }).autoOrient(), size)
      .toFormat(format, thumbnails[format])
      .toBuffer(),
  );
}

/** Quality of a cover that is converted to JPEG: a higher one only makes the file larger. */
const jpegQuality = 92;

/**
 * Converts a picture to JPEG; a JPEG is returned unchanged, byte for byte, except for stray bytes before it, which are
 * removed. Either way it is decoded to its end.
 *
 * @throws AppError `not_an_image`, `unsupported_image` or `unreadable_image`
 */
export async function asJpeg(bytes: Buffer): Promise<Buffer> {
  const picture = withoutLead(bytes);
  const format = acceptedFormat(picture);
  return readSource(picture, format, defaultMaxPixels, async (source) => {
    const opened = openSource(source, { failOn: 'error', limitInputPixels: defaultMaxPixels });
    if (format !== 'jpeg')
      return opened
        .autoOrient()
        .flatten({ background: '#fff' })
        .jpeg({ quality: jpegQuality })
        .toBuffer();
    await readToEnd(opened);
    return picture;
  });
}
