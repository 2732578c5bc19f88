import sharp from 'sharp';
import type { Random } from '../tools/starter-set/random.ts';

/** The degradations of a cover between the table and the upload. */
export interface Mishaps {
  /** Each corner is moved by at most this fraction of the cover's edge. */
  perspective: number;
  /** Maximum in degrees, in either direction. */
  rotation: number;
  /** Minimum edge of the cover as a fraction of the photo's shorter edge; 1 fills it. */
  smallest: number;
  /** At most this fraction of the cover's width and height is outside the photo. */
  crop: number;
  /** Brightness is multiplied by 1 ± this at most, and varies likewise across the photo. */
  light: number;
  /** Each colour channel is multiplied by 1 ± this at most. */
  cast: number;
  /** Maximum sigma of the blur in pixels. */
  blur: number;
  /** Maximum opacity of a white spot over 8 to 25 % of the edge. */
  glare: number;
  /** JPEG quality, 1 to 100. */
  jpeg: number;
}

/** No degradation, as in a scan. */
export const flawless: Mishaps = {
  perspective: 0,
  rotation: 0,
  smallest: 1,
  crop: 0,
  light: 0,
  cast: 0,
  blur: 0,
  glare: 0,
  jpeg: 95,
};

/** All degradations at once, at the strength for which the quality limits apply. */
export const snapshot: Mishaps = {
  perspective: 0.08,
  rotation: 15,
  smallest: 0.65,
  crop: 0.15,
  light: 0.35,
  cast: 0.15,
  blur: 2.5,
  glare: 0.8,
  jpeg: 30,
};

/** Edges of a photo in pixels. */
const long = 960;
const short = 720;

export type Point = readonly [x: number, y: number];

/**
 * Simulates a photo of a cover: warped onto a background, lit, blurred, compressed. Strengths are uniformly
 * distributed up to the limits in `mishaps`. Half of the photos show the whole cover on its background, half are
 * too close, so that part of the cover is cut off.
 *
 * @param cover an encoded square picture
 * @returns a JPEG of 960 x 720 or 720 x 960 pixels; 720 x 720 if `smallest` is 1 and `crop` is 0
 */
export async function simulatePhoto(
  cover: Buffer,
  mishaps: Mishaps,
  random: Random,
): Promise<Buffer> {
  const { data, info } = await sharp(cover)
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const framed = mishaps.smallest === 1 && mishaps.crop === 0;
  const upright = random.chance(0.5);
  const width = framed ? short : upright ? short : long;
  const height = framed ? short : upright ? long : short;
  const corners = outline(mishaps, random).map(([x, y]): Point => [x + width / 2, y + height / 2]);
  const toCover = homography(corners, info.width, info.height);
  const background = scene(random);
  const lit = lamp(mishaps, width, height, random);
  const pixels = Buffer.alloc(width * height * 3);
  const shade: Shade = [0, 0, 0];
  for (let y = 0, at = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, at += 3) {
      const [u, v] = toCover(x + 0.5, y + 0.5);
      if (u >= 0 && v >= 0 && u < info.width && v < info.height)
        bilinear(data, info.width, info.height, u - 0.5, v - 0.5, shade);
      else background(x, y, shade);
      lit(shade, x, y);
      for (let channel = 0; channel < 3; channel += 1)
        pixels[at + channel] = Math.max(0, Math.min(255, shade[channel] ?? 0));
    }
  const photo = sharp(pixels, { raw: { width, height, channels: 3 } });
  const sigma = random.next() * mishaps.blur;
  return (sigma >= 0.3 ? photo.blur(sigma) : photo).jpeg({ quality: mishaps.jpeg }).toBuffer();
}

/** The cover's four corners, clockwise from the top left, in pixels from the photo's centre. */
function outline({ perspective, rotation, smallest, crop }: Mishaps, random: Random): Point[] {
  const close = crop > 0 && (smallest === 1 || random.chance(0.5));
  const cut = random.next() * crop;
  const edge = short * (close ? 1 / (1 - cut) : random.between(smallest, 1));
  // too close: cut off on one side or on both; further away: anywhere within the photo
  const slack = Math.abs(edge - short) / 2;
  const shift: Point = [random.between(-slack, slack), random.between(-slack, slack)];
  const angle = (random.between(-rotation, rotation) * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (
    [
      [-0.5, -0.5],
      [0.5, -0.5],
      [0.5, 0.5],
      [-0.5, 0.5],
    ] as const
  ).map(([x, y]) => {
    const moved = [x, y].map((value) => edge * (value + random.between(-perspective, perspective)));
    const [dx = 0, dy = 0] = moved;
    return [dx * cos - dy * sin + shift[0], dx * sin + dy * cos + shift[1]];
  });
}

/** The homography from points of the photo to points of the cover, given the cover's corners in the photo. */
export function homography(corners: readonly Point[], width: number, height: number) {
  const targets: Point[] = [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ];
  const rows = corners.flatMap(([x, y], i) => {
    const [u, v] = targets[i] ?? [0, 0];
    return [
      [x, y, 1, 0, 0, 0, -u * x, -u * y, u],
      [0, 0, 0, x, y, 1, -v * x, -v * y, v],
    ];
  });
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = solve(rows);
  return (x: number, y: number): Point => {
    const w = g * x + h * y + 1;
    return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
  };
}

/** Solves linear equations, each a row of coefficients and its right side (Gauss-Jordan with pivoting). */
function solve(rows: number[][]): number[] {
  const n = rows.length;
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let column = 0; column < n; column += 1) {
    let pivot = column;
    for (let row = column; row < n; row += 1)
      if (Math.abs(at(row, column)) > Math.abs(at(pivot, column))) pivot = row;
    [rows[column], rows[pivot]] = [rows[pivot] ?? [], rows[column] ?? []];
    const scale = at(column, column);
    rows[column] = (rows[column] ?? []).map((value) => value / scale);
    for (let row = 0; row < n; row += 1) {
      if (row === column) continue;
      const factor = at(row, column);
      rows[row] = (rows[row] ?? []).map((value, i) => value - factor * at(column, i));
    }
  }
  return rows.map((row) => row[n] ?? 0);
}

/** A mutable colour, 0 to 255 per channel. */
export type Shade = [number, number, number];

/** Bilinear interpolation: writes the colour at a point into `shade`. */
export function bilinear(
  data: Buffer,
  width: number,
  height: number,
  u: number,
  v: number,
  shade: Shade,
): void {
  const x = Math.max(0, Math.min(width - 1, u));
  const y = Math.max(0, Math.min(height - 1, v));
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const right = left + 1 < width ? 3 : 0;
  const below = top + 1 < height ? 3 * width : 0;
  const [fx, fy] = [x - left, y - top];
  const at = 3 * (top * width + left);
  for (let channel = 0; channel < 3; channel += 1) {
    const from = at + channel;
    const upper = (data[from] ?? 0) * (1 - fx) + (data[from + right] ?? 0) * fx;
    const lower = (data[from + below] ?? 0) * (1 - fx) + (data[from + below + right] ?? 0) * fx;
    shade[channel] = upper * (1 - fy) + lower * fy;
  }
}

/** A random background, plain, wood or tiles: returns a function that writes the colour at a point. */
function scene(random: Random): (x: number, y: number, shade: Shade) => void {
  const colour = [0, 1, 2].map(() => random.between(20, 235));
  const depth = random.between(0, 40);
  const kind = random.pick(['plain', 'wood', 'tiles'] as const);
  const [wave, along, phase] = [
    random.between(0.02, 0.2),
    random.between(-0.4, 0.4),
    random.next(),
  ];
  const relief = (x: number, y: number): number => {
    if (kind === 'plain') return (depth * (x + y)) / 1600;
    if (kind === 'tiles') return Math.sin(wave * x) * Math.sin(wave * y) > 0 ? depth : -depth;
    const across = x * Math.cos(along) + y * Math.sin(along);
    return depth * Math.sin(wave * across + 6 * Math.sin(0.01 * y + phase)) * 0.7;
  };
  return (x, y, shade) => {
    const added = relief(x, y);
    for (let channel = 0; channel < 3; channel += 1)
      shade[channel] = (colour[channel] ?? 0) + added;
  };
}

/** Light, colour cast and glare over a photo: returns a function that changes the colour at a point. */
export function lamp(
  { light, cast, glare }: Mishaps,
  width: number,
  height: number,
  random: Random,
) {
  const gain = 1 + random.between(-light, light);
  const [across, down] = [random.between(-light, light), random.between(-light, light)];
  const channels = [0, 1, 2].map(() => 1 + random.between(-cast, cast));
  const opacity = random.next() * glare;
  const [cx, cy] = [random.next() * width, random.next() * height];
  const [rx, ry] = [random.between(0.08, 0.25) * short, random.between(0.08, 0.25) * short];
  return (shade: Shade, x: number, y: number): void => {
    const slope = 1 + 0.5 * (across * ((2 * x) / width - 1) + down * ((2 * y) / height - 1));
    const spot = opacity * Math.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2);
    for (let channel = 0; channel < 3; channel += 1)
      shade[channel] =
        (shade[channel] ?? 0) * gain * slope * (channels[channel] ?? 1) * (1 - spot) + 255 * spot;
  };
}
