import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { coverFile, starterIds, starterRows } from './requests.ts';

export type Outline = [x: number, y: number][];

/** A sleeve in a photo: centre and edge in pixels, and clockwise rotation in degrees. */
export interface Sleeve {
  cover: Buffer;
  x: number;
  y: number;
  edge: number;
  angle?: number;
}

/** An SVG of a table with things on it. */
const table = (width: number, height: number): Buffer => {
  const planks = Array.from({ length: 7 }, (_, at) => {
    const y = (at * height) / 7;
    const brown = ['#8a6a4d', '#94735a', '#7f6146'][at % 3] ?? '';
    return `<rect y="${String(y)}" width="${String(width)}" height="${String(height / 7 - 3)}" fill="${brown}"/>`;
  });
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}">
    <rect width="100%" height="100%" fill="#5b4330"/>${planks.join('')}
    <g transform="scale(${String(width / 2400)})">
      <g transform="rotate(14 400 1450)"><rect x="120" y="1250" width="560" height="760" fill="#efe9dc"/>
        <path d="M190 1350h420M190 1410h380M190 1470h400M190 1530h250" stroke="#8b8577" stroke-width="14"/></g>
      <circle cx="2120" cy="260" r="200" fill="#d9d4cb"/><circle cx="2120" cy="260" r="155" fill="#4a2c1a"/>
      <path d="M1330 1690 1930 1560" stroke="#28323f" stroke-width="26" stroke-linecap="round"/>
    </g></svg>`);
};

/** A photo of sleeves on a table, and the corners of each as fractions of the photo, clockwise from its top left. */
export async function photoOf(
  sleeves: readonly Sleeve[],
  { width, height }: { width: number; height: number },
): Promise<{ photo: Buffer; outlines: Outline[] }> {
  // composed on a canvas three times as large and cropped, since sharp does not composite layers that extend beyond it
  const layers = await Promise.all(
    sleeves.map(async ({ cover, x, y, edge, angle = 0 }) => {
      const flat = await sharp(cover).resize(edge, edge).png().toBuffer();
      const turned = await sharp(flat)
        .rotate(angle, { background: { r: 0, g: 0, b: 0, alpha: 0 } })
        .png()
        .toBuffer({ resolveWithObject: true });
      const { info, data: input } = turned;
      const left = Math.round(x - info.width / 2) + width;
      return { input, left, top: Math.round(y - info.height / 2) + height };
    }),
  );
  const background = { r: 0, g: 0, b: 0, alpha: 0 };
  const large = { width: 3 * width, height: 3 * height, channels: 4, background } as const;
  const composed = await sharp({ create: large }).composite(layers).png().toBuffer();
  const input = await sharp(composed)
    .extract({ left: width, top: height, width, height })
    .png()
    .toBuffer();
  const photo = await sharp(table(width, height))
    .flatten()
    .composite([{ input }])
    .jpeg({ quality: 90 })
    .toBuffer();
  const outlines = sleeves.map(({ x, y, edge, angle = 0 }) => {
    const [sin, cos] = [Math.sin((angle * Math.PI) / 180), Math.cos((angle * Math.PI) / 180)];
    return [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ].map(([dx = 0, dy = 0]): [number, number] => [
      (x + ((dx * cos - dy * sin) * edge) / 2) / width,
      (y + ((dx * sin + dy * cos) * edge) / 2) / height,
    ]);
  });
  return { photo, outlines };
}

/**
 * A video for Chromium's fake camera, which plays it in a loop.
 *
 * @param scenes pictures of the same size, and the number of frames of each; Chromium plays 30 per second
 * @returns Motion JPEG
 */
export async function film(scenes: readonly [picture: Buffer, frames: number][]): Promise<Buffer> {
  const frames = await Promise.all(
    scenes.map(async ([picture, count]) => {
      const frame = await sharp(picture).jpeg({ chromaSubsampling: '4:2:0' }).toBuffer();
      return Buffer.concat(Array<Buffer>(count).fill(frame));
    }),
  );
  return Buffer.concat(frames);
}

/** A recognised album, as faked by a test. */
export interface MadeFinding {
  /** Position of the album in the starter set. */
  at: number;
  outline: Outline;
  alternatives?: number[];
}

/** A response of `POST /api/search-by-image`: albums of the starter set, the recognised ones first. */
export function answerWith(findings: readonly MadeFinding[] | null, count = 24) {
  const rows = starterRows();
  const places = new Set([...(findings ?? []).map(({ at }) => at), ...rows.keys()]);
  const results = [...places].slice(0, count).map((at, rank) => ({
    ...fieldsOf(at),
    similarity_score: 0.9 - rank / 100,
  }));
  const identified =
    findings?.map(({ at, outline, alternatives = [] }) => {
      const { album_id, artist, album_name } = fieldsOf(at);
      return { album_id, artist, album_name, points: 64, outline, alternatives };
    }) ?? null;
  return { results, identified };
}

function fieldsOf(at: number) {
  const { artist, album_name, genre, release_year, ...row } = starterRows()[at] ?? {};
  return {
    album_id: Number(row['local_id']),
    artist,
    album_name,
    genre,
    release_year,
    pitchfork_score: row['score'],
    best_new_music: row['best_new_music'] === 1,
  };
}

/** The cover of an album of the starter set, by its position. */
export const coverAt = (at: number): Buffer => coverFile(starterIds()[at] ?? 0);

/** Fakes the response to every search by picture. @returns a live list of the request URLs */
export async function answerPictures(
  page: Page,
  answer: (count: number) => object,
): Promise<URL[]> {
  const asked: URL[] = [];
  await page.route('**/api/search-by-image?*', (route) => {
    asked.push(new URL(route.request().url()));
    return route.fulfill({ json: answer(asked.length) });
  });
  return asked;
}

/** Fakes whether the service recognises albums. */
export async function stubHealth(page: Page, identification: boolean): Promise<void> {
  const json = { starter_set: true, identification };
  await page.route('**/health', (route) => route.fulfill({ json }));
}
