import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { inventTitle } from '../tools/starter-set/names.ts';
import { Random } from '../tools/starter-set/random.ts';

/** Edge of a cover in pixels. */
const edge = 500;

/**
 * A synthetic cover by its number, cached in a folder, since creating ten thousand takes minutes.
 *
 * @param sources must be the same for all covers in one folder
 */
export async function madeUpCover(
  number: number,
  sources: readonly Buffer[],
  folder: string,
): Promise<Buffer> {
  const path = join(folder, `${String(number)}.jpg`);
  try {
    return await readFile(path);
  } catch {
    const cover = await makeUpCover(sources, new Random(number));
    await mkdir(folder, { recursive: true });
    await writeFile(`${path}.new`, cover);
    await rename(`${path}.new`, path);
    return cover;
  }
}

/**
 * A cover that differs from its sources: a mirrored, rotated piece of one above a mirrored, rotated piece of another;
 * inverted with a probability of one half.
 *
 * @returns a JPEG of 500 x 500 pixels
 */
export async function makeUpCover(sources: readonly Buffer[], random: Random): Promise<Buffer> {
  const height = random.integer(200, edge);
  const upper = await piece(random.pick(sources), height, random);
  const parts = [{ input: upper, left: 0, top: 0 }];
  if (height < edge)
    parts.push({
      input: await piece(random.pick(sources), edge - height, random),
      left: 0,
      top: height,
    });
  const whole = await sharp({
    create: { width: edge, height: edge, channels: 3, background: '#000' },
  })
    .composite(parts)
    .png({ compressionLevel: 0 })
    .toBuffer();
  const cover = sharp(whole);
  return (random.chance(0.5) ? cover.negate({ alpha: false }) : cover)
    .jpeg({ quality: 85 })
    .toBuffer();
}

/** A piece with 40 to 80 % of a picture's width and height, mirrored and rotated by a multiple of 90 degrees. */
async function piece(source: Buffer, height: number, random: Random): Promise<Buffer> {
  const { width: w, height: h } = await sharp(source).metadata();
  const width = Math.round(w * random.between(0.4, 0.8));
  const tall = Math.round(h * random.between(0.4, 0.8));
  const cut = await sharp(source)
    .extract({
      left: random.integer(0, w - width),
      top: random.integer(0, h - tall),
      width,
      height: tall,
    })
    .flop()
    .toColourspace('srgb')
    .png({ compressionLevel: 0 })
    .toBuffer();
  return sharp(cut)
    .rotate(90 * random.integer(0, 3))
    .resize(edge, height, { fit: 'fill' })
    .png({ compressionLevel: 0 })
    .toBuffer();
}

/** A cover of a single colour with a small word on it. */
export async function plainCover(random: Random): Promise<Buffer> {
  const colour = () =>
    `hsl(${String(random.integer(0, 359))} 60% ${String(random.integer(10, 90))}%)`;
  const size = random.integer(12, 60);
  const [x, y] = [random.integer(20, edge - 4 * size), random.integer(size + 20, edge - 20)];
  const [word = ''] = /\w{3,}/.exec(inventTitle(random)) ?? [];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${String(edge)}" height="${String(edge)}"><rect width="100%" height="100%" fill="${colour()}"/><text x="${String(x)}" y="${String(y)}" font-size="${String(size)}" fill="${colour()}">${word}</text></svg>`;
  return sharp(Buffer.from(svg)).jpeg({ quality: 85 }).toBuffer();
}
