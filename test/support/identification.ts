import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { coverFile, starterIds, starterRows } from './requests.ts';

export type Outline = [x: number, y: number][];

/** A sleeve in a photo: its middle and edge in pixels, turned clockwise by an angle in degrees. */
export interface Sleeve {
  cover: Buffer;
  x: number;
  y: number;
  edge: number;
  angle?: number;
}

/** A photo of sleeves on a table, and the corners of each as shares of the photo, from its top left, clockwise. */
export async function photoOf(
  sleeves: readonly Sleeve[],
  { width, height, table = '#8a6f55' }: { width: number; height: number; table?: string },
): Promise<{ photo: Buffer; outlines: Outline[] }> {
  // a frame as wide as the photo round it all: sharp composes nothing that juts out
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
  const large = { width: 3 * width, height: 3 * height, channels: 3, background: table } as const;
  const composed = await sharp({ create: large }).composite(layers).png().toBuffer();
  const photo = await sharp(composed)
    .extract({ left: width, top: height, width, height })
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

/** Something recognised, as a test makes it up. */
export interface MadeFinding {
  /** Place of the album in the starter set. */
  at: number;
  outline: Outline;
  alternatives?: number[];
}

/** What `POST /api/search-by-image` answers: albums of the starter set, those recognised first. */
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

/** The cover of an album of the starter set, by its place. */
export const coverAt = (at: number): Buffer => coverFile(starterIds()[at] ?? 0);

/** Lets every search by picture be answered so. @returns the searches made; it grows */
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

/** Says of the service whether it recognises albums. */
export async function stubHealth(page: Page, identification: boolean): Promise<void> {
  const json = { starter_set: true, identification };
  await page.route('**/health', (route) => route.fulfill({ json }));
}
