// Takes screenshots of the page's main states, with the starter set, into docs/screenshots/.
// usage: npx tsx bench/screenshots.ts        (after npm run setup:dev; needs chromium)
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { launchBrowser, screens } from '../test/support/browser.ts';
import {
  asFile,
  describe,
  eventually,
  onTable,
  pick,
  problem,
  results,
  searchByStage,
  stage,
  starterAlbum,
} from '../test/support/page.ts';
import { answerPictures, answerWith, coverAt, photoOf } from '../test/support/identification.ts';
import { startServer } from '../test/support/server.ts';
import { root } from './machine.ts';

const folder = join(root, 'docs', 'screenshots');

/** Size limit of a screenshot in bytes: they are committed. */
const limitBytes = 300_000;

const { id, cover } = starterAlbum(71);

interface Shot {
  browser: BrowserContextOptions;
  path: string;
  reach?: (page: Page) => Promise<unknown>;
}

const words = '/?query=a+red+circle';
const filtered = `${words}&genre=Rock&genre=Electronic&year_min=1975`;
const similar = `/?similar_to=${String(id)}`;
const details = `${similar}&album=${String(id)}`;
const dark = { colorScheme: 'dark' } as const;

const crop = async (page: Page) => {
  await pick(page, asFile(await onTable(cover)));
  await stage(page);
  for (const [corner, keys] of [
    [
      'top-left',
      [
        'Shift+ArrowRight',
        'Shift+ArrowRight',
        'Shift+ArrowRight',
        'Shift+ArrowDown',
        'Shift+ArrowDown',
      ],
    ],
    [
      'bottom-right',
      ['Shift+ArrowLeft', 'Shift+ArrowLeft', 'Shift+ArrowLeft', 'Shift+ArrowUp', 'Shift+ArrowUp'],
    ],
  ] as const) {
    await page.locator(`.crop-handle.${corner}`).focus();
    for (const key of keys) await page.keyboard.press(key);
  }
  await page.locator('#stage-search').focus();
};

/** Searches by a photo of two sleeves. If the service has no identification, its response is faked. */
const identify = async (page: Page) => {
  const [first, second] = [71, 17];
  const { photo, outlines } = await photoOf(
    [
      { cover: coverAt(first), x: 840, y: 760, edge: 980, angle: -9 },
      { cover: coverAt(second), x: 1780, y: 1080, edge: 760, angle: 17 },
    ],
    { width: 2400, height: 1800 },
  );
  if (!identifies) {
    const alternatives = [starterAlbum(5).id];
    const [one = [], two = []] = outlines;
    const findings = [
      { at: first, outline: one, alternatives },
      { at: second, outline: two },
    ];
    await answerPictures(page, () => answerWith(findings));
  }
  await pick(page, asFile(photo));
  await searchByStage(page);
  await results(page);
};

const fail = async (page: Page) => {
  await page.route('**/api/search-by-text?*k=24*', (route) =>
    route.fulfill(problem(503, 'busy', { 'retry-after': '5' })),
  );
  await describe(page, 'a red circle');
  await page.locator('.problem').waitFor();
};

const openFilters = async (page: Page) => {
  await page.locator('#filter-button').click();
  await page.locator('.choices').waitFor();
};

const shots: Record<string, Shot> = {
  empty: { browser: screens.desktop, path: '/' },
  results: { browser: screens.desktop, path: words, reach: results },
  filters: { browser: screens.desktop, path: filtered, reach: openFilters },
  detail: { browser: screens.desktop, path: details },
  crop: { browser: screens.desktop, path: '/', reach: crop },
  identified: { browser: screens.desktop, path: '/', reach: identify },
  failure: { browser: screens.desktop, path: '/', reach: fail },
  french: { browser: { ...screens.desktop, locale: 'fr-FR' }, path: '/' },
  dark: { browser: { ...screens.desktop, ...dark }, path: similar, reach: results },
  'dark-empty': { browser: { ...screens.desktop, ...dark }, path: '/' },
  wide: { browser: screens.wide, path: similar, reach: results },
  'wide-empty': { browser: screens.wide, path: '/' },
  tablet: { browser: screens.tablet, path: words, reach: results },
  phone: { browser: screens.phone, path: '/' },
  'phone-results': { browser: screens.phone, path: words, reach: results },
  'phone-detail': { browser: screens.phone, path: details },
  'phone-crop': { browser: screens.phone, path: '/', reach: crop },
  'phone-identified': { browser: { ...screens.phone, ...dark }, path: '/', reach: identify },
  'phone-dark': { browser: { ...screens.phone, ...dark }, path: similar, reach: results },
};

/** Waits until all visible covers are loaded. */
const settled = (page: Page) =>
  eventually(async () => {
    const done = await page.evaluate<boolean>(`(() => {
      const inSight = [...document.querySelectorAll('.cover')].filter((cover) => {
        const { top, bottom, width } = cover.getBoundingClientRect();
        return width > 0 && top < innerHeight && bottom > 0;
      });
      const come = document.querySelector('.crate-cover, .card:not(.skeleton)') !== null;
      return come && inSight.every((cover) => cover.matches('.loaded'));
    })()`);
    assert.ok(done, 'a cover is missing');
  });

const [server, browser] = await Promise.all([startServer(), launchBrowser()]);
const health = (await (await fetch(`${server.url}/health`)).json()) as Record<string, unknown>;
const identifies = health['identification'] === true;
await mkdir(folder, { recursive: true });
for (const [name, { browser: options, path, reach }] of Object.entries(shots)) {
  const context = await browser.newContext({
    locale: 'en-US',
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  await page.addInitScript('Math.random = () => 0.42'); // the same covers in the crate each time
  await page.goto(server.url + path);
  await reach?.(page);
  if (name !== 'failure' && !name.endsWith('crop')) await settled(page);
  const picture = await sharp(await page.screenshot({ animations: 'disabled' }))
    .webp({ quality: 74 })
    .toBuffer();
  await context.close();
  if (picture.length > limitBytes) throw new Error(`${name} takes ${String(picture.length)} bytes`);
  await writeFile(join(folder, `${name}.webp`), picture);
  console.log(`${name}  ${(picture.length / 1000).toFixed(0)} KB`);
}
await browser.close();
await server.stop();
