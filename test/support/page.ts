import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { patienceMs } from './browser.ts';
import { coverFile, root, starterIds, starterRows } from './requests.ts';

/** Albums per page of results. */
export const pageSize = 24;

/** Repeats a check until it passes, for conditions that no locator waits for. */
export async function eventually(check: () => Promise<void> | void) {
  const end = performance.now() + patienceMs;
  for (;;)
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(50);
    }
}

/** Waits until the address has this query, since it changes after the visible content. */
export const atQuery = (page: Page, expected: string | RegExp): Promise<void> =>
  eventually(() => {
    const { search } = new URL(page.url());
    if (typeof expected === 'string') assert.equal(search, expected);
    else assert.match(search, expected);
  });

/** The results, those recognised in the picture first, without placeholders. */
export const cards = (page: Page): Locator => page.locator('.finding, #grid .card:not(.skeleton)');

/** Waits until a search has returned `count` albums. */
export async function results(page: Page, count = pageSize): Promise<Locator> {
  await page.locator('#grid[aria-busy="false"]').waitFor();
  await eventually(async () => {
    assert.equal(await cards(page).count(), count);
  });
  return cards(page);
}

/** The parts of a DOM element that tests use: the DOM types are only available in `web/`. */
export interface PageElement {
  getAttribute: (name: string) => string | null;
  querySelector: (selector: string) => PageElement | null;
  textContent: string | null;
}

/** The heading of a search by picture, with or without a recognised album. */
export const byPicture = /^(Covers like your picture|This is .+)$/;

/** Ids of the shown albums, in order. */
export const shownIds = (page: Page): Promise<number[]> =>
  cards(page)
    .locator('.card-link, .finding-link')
    .evaluateAll((links: PageElement[]) =>
      links.map((link) =>
        Number(new URLSearchParams(link.getAttribute('href') ?? '').get('album')),
      ),
    );

export const describe = async (page: Page, query: string): Promise<void> => {
  const field = page.locator('#words');
  await field.fill(query);
  await field.press('Enter');
};

/** A file for a file picker. */
export interface PickedFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

export const asFile = (
  buffer: Buffer,
  name = 'cover.jpg',
  mimeType = 'image/jpeg',
): PickedFile => ({
  name,
  mimeType,
  buffer,
});

/** Picks a file with the page's button. */
export async function pick(page: Page, file: PickedFile): Promise<void> {
  const [chooser] = await Promise.all([
    page.waitForEvent('filechooser'),
    page.locator('#pick').click(),
  ]);
  await chooser.setFiles(file);
}

/** Waits for the crop dialog to show its picture. */
export async function stage(page: Page): Promise<Locator> {
  const dialog = page.locator('#stage[open]');
  await dialog.waitFor();
  // Waits for the layout to settle: measurements before that are wrong on a busy machine.
  await (await page.locator('#stage-picture').elementHandle()).waitForElementState('stable');
  return dialog;
}

/** The data of a drag in Chromium's protocol. */
export interface Dragged {
  items: { mimeType: string; data: string }[];
  files?: string[];
}

/** Drags something over the page and drops it once the page shows that it accepts it. */
export async function drop(page: Page, dragged: Dragged): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { ...dragged, dragOperationsMask: 1 };
  const tell = (type: 'dragEnter' | 'dragOver' | 'drop') =>
    session.send('Input.dispatchDragEvent', { type, x: 300, y: 700, data });
  await tell('dragEnter');
  await eventually(async () => {
    await tell('dragOver'); // a real drag fires it several times per second
    assert.ok(await page.getByText('Drop to search by this picture').isVisible());
  });
  await tell('drop');
}

export const searchByStage = async (page: Page): Promise<void> => {
  await (await stage(page)).locator('#stage-search').click();
};

/** An album of the starter set: id, cover and row. */
export function starterAlbum(at: number) {
  const id = starterIds()[at] ?? 0;
  const row = starterRows()[at] ?? {};
  return {
    id,
    cover: coverFile(id),
    title: String(row['album_name']),
    artist: String(row['artist']),
    row,
  };
}

export const fixture = (name: string): Buffer =>
  readFileSync(join(root, 'test/fixtures/clip/pictures', name));

/** Position of the sleeve in {@link onTable}, as fractions of the picture. */
export const sleeve = { left: 0.3, top: 0.2, right: 0.7, bottom: 0.8 };

/** A photo of 3,000 by 2,000 pixels: a cover of 1,200 by 1,200 on a table. */
export async function onTable(cover: Buffer): Promise<Buffer> {
  const input = await sharp(cover).resize(1200, 1200).toBuffer();
  return sharp({ create: { width: 3000, height: 2000, channels: 3, background: '#8a6f55' } })
    .composite([{ input, left: 900, top: 400 }])
    .jpeg({ quality: 92 })
    .toBuffer();
}

/** Mean absolute difference of two pictures over all channels of 32 x 32 pixels, from 0 to 255. */
export async function difference(one: Buffer, other: Buffer): Promise<number> {
  const small = (picture: Buffer) =>
    sharp(picture).removeAlpha().resize(32, 32, { fit: 'fill' }).raw().toBuffer();
  const [a, b] = await Promise.all([small(one), small(other)]);
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length;
}

/** An error response of the API. */
export const problem = (status: number, code: string, headers: Record<string, string> = {}) => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({
    type: 'about:blank',
    status,
    code,
    detail: `What the server says of ${code}.`,
    request_id: 'request-4711',
  }),
});
