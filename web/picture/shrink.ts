import { fitInto, regionOf, type Crop, type Size } from './crop.ts';

/** Longer side of the uploaded picture, in pixels. The models use 224 to 336; more would only slow the upload. */
export const longestEdge = 1024;

/** A 12-megapixel photo becomes 100 to 200 KB. */
const jpegQuality = 0.85;

/**
 * Cuts the crop out of a decoded picture and scales it down.
 *
 * @param picture decoded; it is drawn upright, following its EXIF orientation
 * @returns a JPEG of at most 1024 pixels on the longer side, without the original's metadata (which may reveal
 *   where a photo was taken); transparent pixels become white
 */
export async function shrink(picture: HTMLImageElement, crop: Crop): Promise<Blob> {
  const region = regionOf(crop, { width: picture.naturalWidth, height: picture.naturalHeight });
  const target = fitInto(longestEdge, region);
  let canvas = draw(picture, region, firstStep(region, target));
  while (canvas.width > target.width || canvas.height > target.height)
    canvas = draw(canvas, { x: 0, y: 0, ...sizeOf(canvas) }, firstStep(canvas, target));
  return toJpeg(canvas);
}

const sizeOf = ({ width, height }: Size): Size => ({ width, height });

/** Halves at most: some browsers interpolate between four pixels only, so a larger step would skip the others. */
const firstStep = (from: Size, target: Size): Size =>
  from.width > 2 * target.width
    ? { width: Math.ceil(from.width / 2), height: Math.ceil(from.height / 2) }
    : target;

function draw(
  source: CanvasImageSource,
  region: Size & { x: number; y: number },
  target: Size,
): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = target.width;
  canvas.height = target.height;
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser has no canvas');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, target.width, target.height);
  context.imageSmoothingQuality = 'high';
  const { x, y, width, height } = region;
  context.drawImage(source, x, y, width, height, 0, 0, target.width, target.height);
  return canvas;
}

const toJpeg = (canvas: HTMLCanvasElement): Promise<Blob> =>
  new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => {
        if (blob) resolve(blob);
        else reject(new Error('the picture could not be encoded'));
      },
      'image/jpeg',
      jpegQuality,
    );
  });
