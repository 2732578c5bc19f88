/**
 * Compares ways of flattening transparency: for several kinds of transparent query and each way of making it opaque,
 * how often the starter model finds the right album.
 *
 *     npx tsx bench/alpha.ts [--every N]       every Nth cover of the starter set; default 9
 *
 * Prints a Markdown table of recall@1 / recall@5 in per cent. `as served` uploads the transparent file unchanged.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import { starterAlbums } from '../tools/starter-set/starter-albums.ts';
import { machine } from './machine.ts';
import { imagesDir, search } from './starter-search.ts';

const { values } = parseArgs({ options: { every: { type: 'string', default: '9' } } });

/** Edge in pixels of every query. */
const edge = 320;

type Rgb = readonly [red: number, green: number, blue: number];
type Rgba = readonly [...Rgb, alpha: number];

const black: Rgb = [0, 0, 0];
const white: Rgb = [255, 255, 255];
const luminance = ([red, green, blue]: Rgb) => 0.299 * red + 0.587 * green + 0.114 * blue;

/** Inputs of a pixel: the cover's colour, another picture's colour, and the position from -1 to 1. */
interface Point {
  colour: Rgb;
  other: Rgb;
  x: number;
  y: number;
}

interface Kind {
  name: string;
  draw: (point: Point) => Rgba;
  /** Edge of the centred cover as a fraction of the query's edge; default 1. */
  share?: number;
  format?: 'webp';
}

/** A cut-out sleeve with transparent surroundings. */
const cutOut = (name: string, share: number, under: (point: Point) => Rgb): Kind => ({
  name,
  share,
  draw: (point) =>
    Math.max(Math.abs(point.x), Math.abs(point.y)) < share
      ? [...point.colour, 255]
      : [...under(point), 0],
});

/** Signed distance from a rounded square, in halves of its edge; positive outside. */
const beyond = ({ x, y }: Point) =>
  Math.hypot(Math.max(Math.abs(x) - 0.8, 0), Math.max(Math.abs(y) - 0.8, 0)) - 0.2;
const faded = (point: Point, alpha: number): Rgba => [...(alpha > 0 ? point.colour : black), alpha];

const kinds: Kind[] = [
  cutOut('sleeve cut out, 70 %, black under the transparent part', 0.7, () => black),
  cutOut('the same, white under it', 0.7, () => white),
  cutOut('the same, a background under it', 0.7, ({ other }) => other),
  { ...cutOut('the first as WebP', 0.7, () => black), format: 'webp' },
  cutOut('sleeve cut out, 40 %, black under the transparent part', 0.4, () => black),
  cutOut('the same, a background under it', 0.4, ({ other }) => other),
  { name: 'black logo on transparency', draw: ({ colour }) => [...black, 255 - luminance(colour)] },
  { name: 'white logo on transparency', draw: ({ colour }) => [...white, luminance(colour)] },
  { name: 'rounded corners', draw: (point) => faded(point, beyond(point) > 0 ? 0 : 255) },
  {
    name: 'feathered edges',
    draw: (point) => faded(point, 255 * Math.max(0, Math.min(1, -5 * beyond(point)))),
  },
  { name: 'alpha opaque everywhere', draw: ({ colour }) => [...colour, 255] },
  { name: 'alpha zero everywhere', draw: ({ colour }) => [...colour, 0] },
  { name: 'alpha nearly zero everywhere', draw: ({ colour }) => [...colour, 2] },
];

const colourAt = (pixels: Buffer, pixel: number): Rgb => [
  pixels[3 * pixel] ?? 0,
  pixels[3 * pixel + 1] ?? 0,
  pixels[3 * pixel + 2] ?? 0,
];

/** @returns the query as RGBA, 4 bytes per pixel */
async function drawn(cover: Buffer, another: Buffer, { draw, share = 1 }: Kind): Promise<Buffer> {
  const before = Math.floor((edge * (1 - share)) / 2);
  const size = edge - 2 * before;
  const sides = { left: before, top: before, right: before, bottom: before };
  const colours = await sharp(cover).resize(size, size).extend(sides).raw().toBuffer();
  const others = await sharp(another).resize(edge, edge).blur(10).raw().toBuffer();
  const pixels = Buffer.alloc(4 * edge * edge);
  for (let i = 0; i < edge * edge; i += 1) {
    const x = (2 * ((i % edge) + 0.5)) / edge - 1;
    const y = (2 * (Math.floor(i / edge) + 0.5)) / edge - 1;
    pixels.set(draw({ colour: colourAt(colours, i), other: colourAt(others, i), x, y }), 4 * i);
  }
  return pixels;
}

/** Flattens a query: composited over a grey, or with alpha dropped if `grey` is `null`. */
function opaque(rgba: Buffer, grey: number | null): Buffer {
  const rgb = Buffer.alloc(3 * edge * edge);
  for (let pixel = 0, to = 0; pixel < edge * edge; pixel += 1) {
    const alpha = grey === null ? 255 : (rgba[4 * pixel + 3] ?? 0);
    for (let channel = 0; channel < 3; channel += 1)
      rgb[to++] = Math.round(
        ((rgba[4 * pixel + channel] ?? 0) * alpha + (grey ?? 0) * (255 - alpha)) / 255,
      );
  }
  return rgb;
}

/** The bounding box of the pixels that are not fully transparent. */
function shownPart(rgba: Buffer) {
  let [left, top, right, bottom] = [edge, edge, -1, -1];
  for (let i = 0; i < edge * edge; i += 1)
    if ((rgba[4 * i + 3] ?? 0) > 0) {
      const [x, y] = [i % edge, Math.floor(i / edge)];
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  if (right < 0) return { left: 0, top: 0, width: edge, height: edge };
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}

const ways = [
  'alpha dropped',
  'over white',
  'over white, else dropped',
  'over white, else black, else dropped',
  'the same, cropped to the visible part',
  'as served',
];

/** The uploaded picture for each of the ways. */
function sentIn(rgba: Buffer, { format }: Kind): Sharp[] {
  const size = { width: edge, height: edge };
  const png = (rgb: Buffer) =>
    sharp(rgb, { raw: { ...size, channels: 3 } }).png({ compressionLevel: 1 });
  const asItIs = sharp(rgba, { raw: { ...size, channels: 4 } });
  const dropped = opaque(rgba, null);
  const overWhite = opaque(rgba, 255);
  const overBlack = opaque(rgba, 0);
  const isSeen = (rgb: Buffer, ground: number) => rgb.some((value) => Math.abs(value - ground) > 8);
  const best = isSeen(overWhite, 255) ? overWhite : isSeen(overBlack, 0) ? overBlack : dropped;
  return [
    png(dropped),
    png(overWhite),
    png(isSeen(overWhite, 255) ? overWhite : dropped),
    png(best),
    png(best).extract(shownPart(rgba)),
    format === 'webp' ? asItIs.webp({ quality: 90 }) : asItIs.png(),
  ];
}

const albums = starterAlbums();
const covers = await Promise.all(albums.map(({ row }) => readFile(join(imagesDir, row.filename))));
const chosen = [...albums.keys()].filter((i) => i % Number(values.every) === 0);

async function measure(kind: Kind): Promise<string> {
  const found = ways.map(() => ({ first: 0, amongFive: 0 }));
  for (const i of chosen) {
    const another = covers[(i + 1) % covers.length] ?? Buffer.of();
    const rgba = await drawn(covers[i] ?? Buffer.of(), another, kind);
    const sent = sentIn(rgba, kind);
    for (const [way, counts] of found.entries()) {
      const picture = (await sent[way]?.toBuffer()) ?? Buffer.of();
      const { hits } = await search.byImage(picture, { k: 5, filter: {} });
      const place = hits.findIndex(({ album }) => album.id === albums[i]?.row.local_id);
      if (place === 0) counts.first += 1;
      if (place >= 0) counts.amongFive += 1;
    }
  }
  const percent = (count: number) => ((100 * count) / chosen.length).toFixed(0);
  return found
    .map(({ first, amongFive }) => `${percent(first)} / ${percent(amongFive)}`)
    .join(' | ');
}

console.log(`${String(chosen.length)} covers; ${machine()}.\n`);
console.log(`| query | ${ways.join(' | ')} |`);
console.log(`| --- |${' --- |'.repeat(ways.length)}`);
for (const kind of kinds) console.log(`| ${kind.name} | ${await measure(kind)} |`);
