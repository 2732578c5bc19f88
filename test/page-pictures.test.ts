import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { browserSkip, screens, Site, type VisitOptions } from './support/browser.ts';
import { stubHealth } from './support/identification.ts';
import {
  asFile,
  byPicture,
  difference,
  drop,
  eventually,
  fixture,
  onTable,
  pick,
  results,
  searchByStage,
  shownIds,
  sleeve,
  stage,
  starterAlbum,
} from './support/page.ts';
import { pictureIn, startRecorder, type Recorder } from './support/recorder.ts';

const { id, cover } = starterAlbum(17);

/** A phone photo: 4,000 by 3,000 pixels, as detailed as foliage or a bookshelf. */
async function twelveMegapixels(): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const;
  const create = { width: 1000, height: 750, channels: 3, background: '#808080', noise } as const;
  const detail = await sharp({ create }).resize(4000, 3000).png({ compressionLevel: 1 }).toBuffer();
  return sharp(await onTable(cover))
    .resize(4000, 3000)
    .composite([{ input: detail, blend: 'soft-light' }])
    .jpeg({ quality: 90 })
    .toBuffer();
}

describe('the page searches by picture', { skip: browserSkip }, () => {
  const site = new Site();
  let recorder: Recorder;
  let folder: string;
  before(async () => {
    recorder = await startRecorder(site.url);
    folder = await mkdtemp(join(tmpdir(), 'pictures-'));
  });
  after(async () => {
    recorder.close();
    await rm(folder, { recursive: true });
  });

  /** Visits the page through the recorder, which records what it sends. */
  const visit = (options: VisitOptions, act: Parameters<Site['visit']>[2]) =>
    site.visit('/', { url: recorder.url, ...options }, act);

  /** The last picture that was sent. */
  const sent = (): Buffer => {
    const uploads = recorder.requests.filter(({ method }) => method === 'POST');
    const last = uploads.at(-1);
    assert.ok(last, 'a picture was sent');
    return pictureIn(last);
  };

  const isFound = async (page: Page) => {
    await results(page);
    assert.equal((await shownIds(page))[0], id);
    assert.match((await page.locator('h1:visible').textContent()) ?? '', byPicture);
  };

  test('a file dropped anywhere on the page is shown and finds its album', () =>
    visit({}, async (page) => {
      const path = join(folder, 'dropped.jpg');
      await writeFile(path, cover);
      await drop(page, { items: [], files: [path] });
      await stage(page);
      assert.ok(await page.locator('.drop-sign').isHidden());
      await searchByStage(page);
      await isFound(page);
    }));

  test('a drag that leaves the page again has no effect', () =>
    visit({}, async (page) => {
      await page.clock.install();
      await page.clock.pauseAt(Date.now() + 1000);
      const session = await page.context().newCDPSession(page);
      const data = { items: [], files: [join(folder, 'none.jpg')], dragOperationsMask: 1 };
      const enter = { type: 'dragEnter', x: 300, y: 300, data } as const;
      const sign = page.locator('.drop-sign');
      await Promise.all([sign.waitFor(), session.send('Input.dispatchDragEvent', enter)]);
      await session.send('Input.dispatchDragEvent', { type: 'dragCancel', x: 300, y: 300, data });
      await page.clock.runFor(1000); // browsers do not always report the end of a drag: a pause then counts as the end
      await sign.waitFor({ state: 'hidden' });
    }));

  test('a picture pasted from the clipboard finds its album', () =>
    visit({}, async (page, context) => {
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      const png = (await sharp(cover).png().toBuffer()).toString('base64');
      await page.evaluate(
        `navigator.clipboard.write([new ClipboardItem({ 'image/png': new Blob([Uint8Array.from(atob('${png}'), (c) => c.charCodeAt(0))], { type: 'image/png' }) })])`,
      );
      await page.keyboard.press('Control+V');
      await searchByStage(page);
      await isFound(page);
    }));

  test('text pasted into the field stays text', () =>
    visit({}, async (page, context) => {
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      await page.evaluate("navigator.clipboard.writeText('blue waves')");
      await page.locator('#words').focus();
      await page.keyboard.press('Control+V');
      assert.equal(await page.locator('#words').inputValue(), 'blue waves');
      assert.equal(await page.locator('dialog[open]').count(), 0);
    }));

  test('a picked file is shown at once and finds its album', () =>
    visit({}, async (page) => {
      await pick(page, asFile(cover));
      const dialog = await stage(page);
      const shown = dialog.getByRole('img', { name: 'The picture to search by' });
      assert.ok(await shown.evaluate((image: { naturalWidth: number }) => image.naturalWidth > 0));
      await searchByStage(page);
      await isFound(page);
      // the picture searched by stays visible
      await page.getByRole('img', { name: 'Your picture' }).waitFor();
    }));

  test('the picture shown can be replaced by another', () =>
    visit({}, async (page) => {
      await pick(page, asFile(starterAlbum(3).cover));
      const dialog = await stage(page);
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        dialog.getByRole('button', { name: 'Another picture' }).click(),
      ]);
      const before = await page.locator('#stage-picture').getAttribute('src');
      await chooser.setFiles(asFile(cover));
      await eventually(async () => {
        assert.notEqual(await page.locator('#stage-picture').getAttribute('src'), before);
      });
      await searchByStage(page);
      await isFound(page);
    }));

  test('on a desktop a photo is taken from a live preview', () =>
    visit({}, async (page) => {
      await page.getByRole('button', { name: 'Take a photo' }).click();
      const camera = page.getByRole('dialog', { name: 'Take a photo' });
      await camera.getByRole('button', { name: 'Take the photo' }).click(); // enabled when it is live
      await camera.waitFor({ state: 'hidden' });
      assert.equal(
        await page
          .locator('#camera-preview')
          .evaluate((video) => (video as { srcObject?: unknown }).srcObject ?? null),
        null,
        'the camera is let go',
      );
      await searchByStage(page);
      await results(page);
      const { format, width, height } = await sharp(sent()).metadata();
      assert.equal(format, 'jpeg');
      assert.ok(width > 200 && width <= 1024 && height > 200 && height <= 1024);
      // the fake device's film is green
      const { channels } = await sharp(sent()).stats();
      assert.ok((channels[1]?.mean ?? 0) > (channels[0]?.mean ?? 0) + 20);
    }));

  test('on a phone the button opens its own camera if identification is off', () =>
    visit({ browser: screens.phone, prepare: (page) => stubHealth(page, false) }, async (page) => {
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.getByRole('button', { name: 'Take a photo' }).click(),
      ]);
      assert.equal(await chooser.element().getAttribute('capture'), 'environment');
      assert.equal(await page.locator('dialog[open]').count(), 0, 'no preview of the page’s own');
      await chooser.setFiles(asFile(cover));
      await searchByStage(page);
      await isFound(page);
    }));

  for (const [name, message] of [
    ['NotAllowedError', 'The camera is blocked'],
    ['NotFoundError', 'No camera is available'],
  ] as const)
    test(`reports ${name} of the camera`, () =>
      visit(
        {
          prepare: async (page) => {
            await page.addInitScript(
              `navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', '${name}'))`,
            );
          },
        },
        async (page) => {
          await page.getByRole('button', { name: 'Take a photo' }).click();
          await page.getByRole('alert').getByRole('heading', { name: message }).waitFor();
          assert.equal(await page.locator('dialog[open]').count(), 0);
          await page.getByRole('button', { name: 'Choose another picture' }).waitFor();
        },
      ));

  for (const [screen, size] of [
    ['desktop', { width: 3000, height: 1200 }],
    ['desktop', { width: 600, height: 1500 }],
    ['phone', { width: 3000, height: 1200 }],
    ['phone', { width: 600, height: 1500 }],
  ] as const)
    test(`a picture of ${String(size.width)} × ${String(size.height)} is shown whole and undistorted (${screen})`, () =>
      visit({ browser: screens[screen] }, async (page) => {
        const picture = await sharp({ create: { ...size, channels: 3, background: '#a0522d' } })
          .jpeg()
          .toBuffer();
        await pick(page, asFile(picture));
        const dialog = await stage(page);
        const shown = await page.locator('#stage-picture').boundingBox();
        const search = await dialog.locator('#stage-search').boundingBox();
        const { viewport } = screens[screen];
        assert.ok(shown && search);
        assert.ok(Math.abs(shown.width / shown.height / (size.width / size.height) - 1) < 0.02);
        assert.ok(shown.x >= 0 && shown.x + shown.width <= viewport.width);
        assert.ok(search.y + search.height <= viewport.height, 'the button is in sight');
        assert.ok(shown.height > 80 && shown.width > 80, 'and not tiny');
      }));

  /** Drags a corner of the crop to a point of the picture, given as fractions of its width and height. */
  const drag = async (page: Page, corner: string, x: number, y: number) => {
    const box = await page.locator('#stage-picture').boundingBox();
    const handle = await page.getByRole('slider', { name: corner }).boundingBox();
    assert.ok(box && handle);
    await page.mouse.move(handle.x + handle.width / 2, handle.y + handle.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.5 * box.width, box.y + 0.5 * box.height);
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
    await page.mouse.up();
  };

  test('sends the dragged crop as a JPEG of at most 1024 pixels', () =>
    visit({}, async (page) => {
      await pick(page, asFile(await onTable(cover), 'table.jpg'));
      await stage(page);
      await drag(page, 'Top left corner', sleeve.left, sleeve.top);
      await drag(page, 'Bottom right corner', sleeve.right, sleeve.bottom);
      await searchByStage(page);
      await isFound(page);
      const { format, width, height } = await sharp(sent()).metadata();
      assert.equal(format, 'jpeg');
      assert.ok(
        Math.max(width, height) === 1024 && Math.min(width, height) > 1000,
        `${String(width)} × ${String(height)}`,
      );
      assert.ok((await difference(sent(), cover)) < 12, 'the sleeve, and no table');
    }));

  test('the other two corners and the whole frame can be dragged too', () =>
    visit({}, async (page) => {
      await pick(page, asFile(await onTable(cover), 'table.jpg'));
      const dialog = await stage(page);
      // a frame as large as the sleeve, but too far to the left
      await drag(page, 'Top right corner', sleeve.right - 0.2, sleeve.top);
      await drag(page, 'Bottom left corner', sleeve.left - 0.2, sleeve.bottom);
      const frame = await dialog.locator('.crop-frame').boundingBox();
      const box = await page.locator('#stage-picture').boundingBox();
      assert.ok(frame && box);
      await page.mouse.move(frame.x + frame.width / 2, frame.y + frame.height / 2);
      await page.mouse.down();
      await page.mouse.move(
        frame.x + frame.width / 2 + 0.2 * box.width,
        frame.y + frame.height / 2,
        { steps: 4 },
      );
      await page.mouse.up();
      await searchByStage(page);
      await isFound(page);
      assert.ok((await difference(sent(), cover)) < 12);
    }));

  test('corners can be moved by touch', () =>
    visit({ browser: screens.phone }, async (page) => {
      await pick(page, asFile(await onTable(cover), 'table.jpg'));
      await stage(page);
      const session = await page.context().newCDPSession(page);
      const slide = async (corner: string, x: number, y: number) => {
        const box = await page.locator('#stage-picture').boundingBox();
        const handle = await page.getByRole('slider', { name: corner }).boundingBox();
        assert.ok(box && handle);
        const from = { x: handle.x + handle.width / 2, y: handle.y + handle.height / 2 };
        const to = { x: box.x + x * box.width, y: box.y + y * box.height };
        await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [from] });
        await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [to] });
        await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
      };
      await slide('Top left corner', sleeve.left, sleeve.top);
      await slide('Bottom right corner', sleeve.right, sleeve.bottom);
      await searchByStage(page);
      await isFound(page);
      assert.ok((await difference(sent(), cover)) < 20);
    }));

  test('corners can be moved by keyboard and report their position', () =>
    visit({}, async (page) => {
      await pick(page, asFile(await onTable(cover), 'table.jpg'));
      await stage(page);
      const press = async (corner: string, keys: readonly string[]) => {
        await page.getByRole('slider', { name: corner }).focus();
        for (const key of keys) await page.keyboard.press(key);
      };
      const times = (count: number, key: string) => Array.from({ length: count }, () => key);
      await press('Top left corner', [
        ...times(3, 'Shift+ArrowRight'),
        ...times(2, 'Shift+ArrowDown'),
      ]);
      await press('Bottom right corner', [...times(30, 'ArrowLeft'), ...times(2, 'Shift+ArrowUp')]);
      assert.equal(
        await page.getByRole('slider', { name: 'Top left corner' }).getAttribute('aria-valuetext'),
        '30% from the left, 20% from the top',
      );
      assert.equal(
        await page
          .getByRole('slider', { name: 'Bottom right corner' })
          .getAttribute('aria-valuetext'),
        '70% from the left, 80% from the top',
      );
      await searchByStage(page);
      await isFound(page);
      assert.ok((await difference(sent(), cover)) < 12);
    }));

  test('the crop can be adjusted and reset after a search', () =>
    visit({}, async (page) => {
      await pick(page, asFile(await onTable(cover), 'table.jpg'));
      const dialog = await stage(page);
      await drag(page, 'Top left corner', 0.6, 0.6);
      await searchByStage(page);
      await results(page);
      await page.getByRole('button', { name: 'Adjust the crop' }).click();
      await stage(page);
      const corner = page.getByRole('slider', { name: 'Top left corner' });
      assert.match(
        (await corner.getAttribute('aria-valuetext')) ?? '',
        /^(59|60|61)%/,
        'as it was left',
      );
      await dialog.getByRole('button', { name: 'Whole picture' }).click();
      await searchByStage(page);
      await results(page);
      await eventually(async () => {
        const { width, height } = await sharp(sent()).metadata();
        assert.deepEqual({ width, height }, { width: 1024, height: 683 });
      });
    }));

  test('Escape and the cross close the picture without a search', () =>
    visit({}, async (page) => {
      await pick(page, asFile(cover));
      await stage(page);
      await page.keyboard.press('Escape');
      await page.locator('#stage').waitFor({ state: 'hidden' });
      await pick(page, asFile(cover));
      await (await stage(page)).getByRole('button', { name: 'Close' }).click();
      await page.locator('#stage').waitFor({ state: 'hidden' });
      assert.ok(await page.getByRole('heading', { name: 'Which record is this?' }).isVisible());
    }));

  test('a photo of 12 megapixels is sent as about 100 to 200 KB', (context) =>
    visit({}, async (page) => {
      const photo = await twelveMegapixels();
      await pick(page, asFile(photo, 'photo.jpg'));
      await searchByStage(page);
      await results(page);
      const bytes = sent().length;
      context.diagnostic(
        `${(photo.length / 1e6).toFixed(1)} MB picked, ${(bytes / 1000).toFixed(0)} KB sent`,
      );
      const { width, height } = await sharp(sent()).metadata();
      assert.deepEqual({ width, height }, { width: 1024, height: 768 });
      assert.ok(bytes > 60_000 && bytes < 220_000, `${String(bytes)} bytes`);
    }));

  test('a photo lying on its side is sent upright and without metadata', () =>
    visit({}, async (page) => {
      const photo = fixture('orientation-6.jpg');
      await pick(page, asFile(photo));
      await searchByStage(page);
      await results(page);
      const upright = await sharp(photo).rotate().jpeg().toBuffer();
      const [wanted, got] = await Promise.all([
        sharp(upright).metadata(),
        sharp(sent()).metadata(),
      ]);
      assert.deepEqual([got.width, got.height], [wanted.width, wanted.height]);
      assert.ok((await difference(sent(), upright)) < 8);
      assert.equal(got.exif, undefined);
    }));

  test('a small picture is not enlarged, and transparency becomes white', () =>
    visit({}, async (page) => {
      const clear = { r: 0, g: 0, b: 0, alpha: 0 };
      const picture = await sharp({
        create: { width: 200, height: 120, channels: 4, background: clear },
      })
        .png()
        .toBuffer();
      await pick(page, asFile(picture, 'clear.png', 'image/png'));
      await searchByStage(page);
      await results(page);
      const { width, height, format } = await sharp(sent()).metadata();
      assert.deepEqual({ width, height, format }, { width: 200, height: 120, format: 'jpeg' });
      const { channels } = await sharp(sent()).stats();
      assert.ok(channels.every(({ mean }) => mean > 250));
    }));
});
