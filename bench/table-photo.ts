import sharp from 'sharp';
import type { Random } from '../tools/starter-set/random.ts';
import { bilinear, flawless, homography, lamp, type Point, type Shade } from './simulated-photo.ts';

type Corners = readonly [Point, Point, Point, Point];

/** Edges of the photo in pixels. */
const width = 1280;
const height = 960;
/** Minimum edge of a sleeve as a fraction of the photo's shorter edge. */
const smallest = 0.25;

export interface TablePhoto {
  /** Of 1280 x 960 pixels. */
  jpeg: Buffer;
  /** Corners of each cover as fractions of the photo's width and height, clockwise from the cover's top left. */
  outlines: Corners[];
  /** Square root of each sleeve's area, as a fraction of the photo's shorter edge. */
  edges: number[];
}

export interface TableOptions {
  /** Encoded pictures, at most four. */
  covers: readonly Buffer[];
  /** Pictures that are scattered under the sleeves. */
  clutter: readonly Buffer[];
  random: Random;
  /** Cover a third of about every second sleeve; add glare, motion blur and strong compression. Default: true. */
  harsh?: boolean;
}

/**
 * Simulates a photo of sleeves on a cluttered table: each rotated by any angle and tilted, none overlapping another.
 */
export async function photographTable(options: TableOptions): Promise<TablePhoto> {
  const { covers, clutter, random, harsh = true } = options;
  const canvas = Buffer.alloc(width * height * 3, Math.round(random.between(40, 200)));
  for (let i = 0; i < 14; i += 1) {
    const edge = random.between(100, 500);
    const middle: Point = [random.between(0, width), random.between(0, height)];
    await lay(canvas, random.pick(clutter), tilted(middle, edge, 1, random));
  }
  const places = random.shuffled(cells(covers.length)).slice(0, covers.length);
  const outlines: Corners[] = [];
  for (const [i, { x, y, room }] of places.entries()) {
    const edge = random.between(smallest * height, Math.max(smallest * height, room / 1.5));
    const cover = covers[i];
    if (!cover) continue;
    const size = await sharp(cover).metadata();
    const corners = tilted([x, y], edge, size.width / size.height, random);
    await lay(canvas, cover, corners);
    if (harsh && random.chance(1 / 2))
      await lay(canvas, random.pick(clutter), third(corners, random.integer(0, 3)));
    outlines.push(corners);
  }
  const mishaps = { ...flawless, light: 0.35, cast: 0.15, glare: harsh ? 0.9 : 0 };
  shine(canvas, lamp(mishaps, width, height, random));
  const photo = sharp(canvas, { raw: { width, height, channels: 3 } });
  if (harsh) photo.convolve(motion(random));
  const areaOf = ([[ax, ay], [bx, by], [cx, cy], [dx, dy]]: Corners) =>
    ((cx - ax) * (dy - by) - (cy - ay) * (dx - bx)) / 2;
  const fraction = ([x, y]: Point): Point => [x / width, y / height];
  return {
    jpeg: await photo.jpeg({ quality: harsh ? 50 : 85 }).toBuffer(),
    outlines: outlines.map(([a, b, c, d]) => [fraction(a), fraction(b), fraction(c), fraction(d)]),
    edges: outlines.map((corners) => Math.sqrt(areaOf(corners)) / height),
  };
}

/** Centres of the grid cells for a number of sleeves, and the edge of the largest square in a cell. */
function cells(count: number): { x: number; y: number; room: number }[] {
  const [columns, rows] = count === 1 ? [1, 1] : count === 2 ? [2, 1] : [2, 2];
  const room = Math.min(width / columns, height / rows);
  return Array.from({ length: columns * rows }, (_, i) => ({
    x: ((i % columns) + 0.5) * (width / columns),
    y: (Math.floor(i / columns) + 0.5) * (height / rows),
    room,
  }));
}

/**
 * Corners of a sleeve rotated by a random angle, each moved by at most 8 % of its edges.
 *
 * @param edge square root of the sleeve's area
 * @param aspect width divided by height
 */
function tilted([x, y]: Point, edge: number, aspect: number, random: Random): Corners {
  const angle = random.between(0, 2 * Math.PI);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const corner = (right: number, down: number): Point => {
    const u = edge * Math.sqrt(aspect) * (right - 0.5 + random.between(-0.08, 0.08));
    const v = (edge / Math.sqrt(aspect)) * (down - 0.5 + random.between(-0.08, 0.08));
    return [x + u * cos - v * sin, y + u * sin + v * cos];
  };
  return [corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)];
}

/** The third of a quadrilateral adjacent to one of its four edges. */
function third(corners: Corners, edge: number): Corners {
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => corners[(i + edge) % 4]) as unknown as Corners;
  const between = ([x, y]: Point, [u, v]: Point): Point => [x + (u - x) / 3, y + (v - y) / 3];
  return [a, between(a, b), between(d, c), d];
}

/** Draws a picture into a quadrilateral. */
async function lay(canvas: Buffer, picture: Buffer, corners: Corners): Promise<void> {
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  const edge = Math.round(Math.max(...xs) - Math.min(...xs));
  const { data, info } = await sharp(picture)
    .removeAlpha()
    .toColourspace('srgb')
    .resize(edge, edge, { fit: 'fill' }) // close to its size in the photo, which avoids aliasing
    .raw()
    .toBuffer({ resolveWithObject: true });
  const toPicture = homography(corners, info.width, info.height);
  const shade: Shade = [0, 0, 0];
  const [left, right] = [
    Math.max(0, Math.floor(Math.min(...xs))),
    Math.min(width, Math.max(...xs)),
  ];
  const [top, bottom] = [
    Math.max(0, Math.floor(Math.min(...ys))),
    Math.min(height, Math.max(...ys)),
  ];
  for (let y = top; y < bottom; y += 1)
    for (let x = left; x < right; x += 1) {
      const [u, v] = toPicture(x + 0.5, y + 0.5);
      if (u < 0 || v < 0 || u >= info.width || v >= info.height) continue;
      bilinear(data, info.width, info.height, u - 0.5, v - 0.5, shade);
      canvas.set(shade.map(Math.round), (y * width + x) * 3);
    }
}

function shine(canvas: Buffer, lit: (shade: Shade, x: number, y: number) => void): void {
  const shade: Shade = [0, 0, 0];
  for (let y = 0, at = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, at += 3) {
      for (let channel = 0; channel < 3; channel += 1) shade[channel] = canvas[at + channel] ?? 0;
      lit(shade, x, y);
      for (let channel = 0; channel < 3; channel += 1)
        canvas[at + channel] = Math.max(0, Math.min(255, shade[channel] ?? 0));
    }
}

/** A motion-blur kernel along a line of 3 to 7 pixels in a random direction. */
function motion(random: Random) {
  const size = 7;
  const angle = random.between(0, Math.PI);
  const reach = random.between(1, size / 2);
  const kernel = new Array<number>(size * size).fill(0);
  for (let step = -20; step <= 20; step += 1) {
    const x = Math.round(size / 2 - 0.5 + (step / 20) * reach * Math.cos(angle));
    const y = Math.round(size / 2 - 0.5 + (step / 20) * reach * Math.sin(angle));
    const at = Math.min(size - 1, Math.max(0, y)) * size + Math.min(size - 1, Math.max(0, x));
    kernel[at] = (kernel[at] ?? 0) + 1;
  }
  return { width: size, height: size, kernel };
}
