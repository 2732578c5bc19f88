import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { browserSkip, screens, Site, type VisitOptions } from './support/browser.ts';
import { answerWith, coverAt, film, photoOf, type Outline } from './support/identification.ts';
import {
  difference,
  eventually,
  pick,
  asFile,
  results,
  searchByStage,
  shownIds,
  stage,
  starterAlbum,
} from './support/page.ts';
import { pictureIn, startRecorder, type MadeAnswer, type Recorder } from './support/recorder.ts';

const size = { width: 640, height: 480 };
const album = starterAlbum(17);

/** Enough time for three attempts, in milliseconds. */
const aWhile = 3500;

describe('automatic recognition by camera', { skip: browserSkip }, () => {
  let folder: string;
  let withSleeve: Buffer;
  let outline: Outline;
  const site = new Site(undefined, async () => {
    folder = await mkdtemp(join(tmpdir(), 'film-'));
    const sleeves = [{ cover: coverAt(17), x: 300, y: 250, edge: 300, angle: 12 }];
    const [empty, full] = await Promise.all([photoOf([], size), photoOf(sleeves, size)]);
    withSleeve = full.photo;
    outline = full.outlines[0] ?? [];
    const path = join(folder, 'sleeve.mjpeg');
    await writeFile(
      path,
      await film([
        [empty.photo, 60],
        [withSleeve, 120],
      ]),
    );
    return [`--use-file-for-fake-video-capture=${path}`];
  });
  let recorder: Recorder;
  let identification: boolean;
  /** Answers the searches by picture. */
  let answer: (picture: Buffer, count: number) => MadeAnswer | Promise<MadeAnswer>;
  /** Arrival times of the searches by picture, in milliseconds. */
  let times: number[];

  before(async () => {
    recorder = await startRecorder(site.url);
    recorder.answer = async (request) => {
      if (request.path === '/health')
        return { json: { starter_set: true, identification } satisfies object };
      if (!request.path.startsWith('/api/search-by-image')) return undefined;
      times.push(performance.now());
      return answer(pictureIn(request), times.length);
    };
  });
  after(async () => {
    recorder.close();
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    recorder.requests.length = 0;
    identification = true;
    times = [];
    answer = () => ({ json: answerWith([]) });
  });

  const visit = (options: VisitOptions, act: Parameters<Site['visit']>[2]) =>
    site.visit('/', { url: recorder.url, ...options }, act);

  /** The pictures that were sent. */
  const frames = (): Buffer[] =>
    recorder.requests.filter(({ method }) => method === 'POST').map(pictureIn);

  const opened = async (page: Page): Promise<Locator> => {
    await page.locator('#starter-note').waitFor(); // by now the page knows what the service can do
    await page.getByRole('button', { name: 'Take a photo' }).click();
    const camera = page.getByRole('dialog', { name: 'Take a photo' });
    await eventually(async () => {
      assert.ok(await camera.getByRole('button', { name: 'Take the photo' }).isEnabled());
    });
    return camera;
  };

  const look = (camera: Locator) => camera.getByRole('switch', { name: 'Recognise automatically' });

  const sendsNothing = async () => {
    await sleep(aWhile);
    assert.equal(times.length, 0);
  };

  test('stops at the first frame with a recognised album and shows it', () =>
    visit({}, async (page) => {
      answer = async (frame) => {
        const seen = (await difference(frame, withSleeve)) < 8;
        return { json: answerWith(seen ? [{ at: 17, outline }] : []) };
      };
      const camera = await opened(page);
      await camera.waitFor({ state: 'hidden' });
      await page
        .getByRole('heading', { level: 1, name: `This is ${album.title} by ${album.artist}` })
        .waitFor();
      await results(page);
      assert.equal((await shownIds(page))[0], album.id);
      const tries = times.length;
      await sleep(aWhile);
      assert.equal(times.length, tries, 'no more is tried, and nothing is asked again');
      const last = frames().at(-1);
      assert.ok(last);
      const { format, width, height } = await sharp(last).metadata();
      assert.deepEqual({ format, width, height }, { format: 'jpeg', ...size });
      const shown = await page.locator('.outlined img').screenshot();
      assert.ok((await difference(shown, last)) < 30, 'the frame is shown');
      assert.equal(
        await page.evaluate(`document.querySelector('#camera-preview').srcObject`),
        null,
        'the camera is let go',
      );
      assert.equal(
        await page.evaluate('document.activeElement.id'),
        'results-title',
        'readers of the screen go on with what was recognised',
      );
      await page.goBack();
      await page.getByRole('heading', { name: 'Which record is this?' }).waitFor();
      await page.goForward();
      await page.getByRole('heading', { level: 1, name: /^This is / }).waitFor();
      assert.equal(times.length, tries);
      await page.getByRole('button', { name: 'Adjust the crop' }).click();
      await stage(page);
    }));

  test('sends at most one frame a second, never two at a time, and sets the status once', () =>
    visit({}, async (page) => {
      let open = 0;
      let most = 0;
      answer = async (_, count) => {
        most = Math.max(most, (open += 1));
        await sleep(count === 2 ? 2500 : 10);
        open -= 1;
        return { json: answerWith([]) };
      };
      await page.evaluate(`new MutationObserver((changes) => {
        window.said = (window.said ?? 0) + changes.length;
      }).observe(document.getElementById('camera-status'), { childList: true })`);
      const camera = await opened(page);
      await camera.getByText('Looking…').waitFor();
      await eventually(() => {
        assert.ok(times.length >= 4);
      });
      assert.equal(most, 1);
      // when the page sent them; a busy machine may deliver one late
      const sent = await page.evaluate<number[]>(`performance.getEntriesByType('resource')
        .filter(({ name }) => name.includes('/api/search-by-image'))
        .map(({ startTime }) => startTime)`);
      assert.ok(sent.length >= 3, sent.join(' '));
      for (const [at, time] of sent.slice(1).entries())
        assert.ok(time - (sent[at] ?? 0) > 900, sent.join(' '));
      assert.equal(await page.evaluate('window.said'), 1);
    }));

  test('stops when the camera is closed', () =>
    visit({}, async (page) => {
      const camera = await opened(page);
      await eventually(() => {
        assert.ok(times.length > 0);
      });
      await page.keyboard.press('Escape');
      await camera.waitFor({ state: 'hidden' });
      const tries = times.length;
      await sleep(aWhile);
      assert.ok(times.length <= tries + 1, 'one may have been on its way');
      assert.ok(await page.getByRole('heading', { name: 'Which record is this?' }).isVisible());
    }));

  test('sends nothing when switched off, and stays off after a reload', () =>
    visit({}, async (page) => {
      const camera = await opened(page);
      await look(camera).press('Space'); // by keyboard
      assert.equal(await look(camera).isChecked(), false);
      await sleep(500);
      times.length = 0;
      await sendsNothing();
      assert.equal(await camera.locator('#camera-status').textContent(), '');
      await page.reload();
      const again = await opened(page);
      assert.equal(await look(again).isChecked(), false);
      await sendsNothing();
      await look(again).check();
      await eventually(() => {
        assert.ok(times.length > 0);
      });
      await page.reload();
      assert.ok(await look(await opened(page)).isChecked());
    }));

  for (const connection of [
    { saveData: true, effectiveType: '4g' },
    { saveData: false, effectiveType: '3g' },
    { saveData: false, effectiveType: 'slow-2g' },
    { saveData: false, effectiveType: '4g', type: 'cellular' },
  ])
    test(`is off by default over ${JSON.stringify(connection)}`, () =>
      visit(
        {
          prepare: async (page) => {
            const value = JSON.stringify(connection);
            await page.addInitScript(
              `Object.defineProperty(navigator, 'connection', { value: ${value} })`,
            );
          },
        },
        async (page) => {
          const camera = await opened(page);
          assert.equal(await look(camera).isChecked(), false);
          await sendsNothing();
          await look(camera).check(); // it can still be switched on
          await eventually(() => {
            assert.ok(times.length > 0);
          });
        },
      ));

  test('sends nothing while the page is hidden', () =>
    visit({}, async (page) => {
      const setVisibility = (state: 'hidden' | 'visible') =>
        page.evaluate(`
          Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true });
          document.dispatchEvent(new Event('visibilitychange'))`);
      await setVisibility('hidden');
      await opened(page);
      await sendsNothing();
      await setVisibility('visible');
      await eventually(() => {
        assert.ok(times.length > 0);
      });
    }));

  test('has no switch and sends nothing if the service does not identify albums', () => {
    identification = false;
    return visit({}, async (page) => {
      const camera = await opened(page);
      assert.ok(await look(camera).isHidden());
      await sendsNothing();
    });
  });

  test('stops when the service no longer identifies albums', () =>
    visit({}, async (page) => {
      answer = () => ({ json: answerWith(null) });
      const camera = await opened(page);
      await look(camera).waitFor({ state: 'hidden' });
      await sleep(aWhile);
      assert.equal(times.length, 1);
    }));

  for (const [status, code] of [
    [429, 'rate_limited'],
    [503, 'busy'],
  ] as const)
    test(`waits as long as Retry-After says after ${String(status)}`, () =>
      visit({ mayLog: new RegExp(String(status)) }, async (page) => {
        answer = (_, count) =>
          count === 1
            ? { status, headers: { 'retry-after': '4' }, json: { code, status } }
            : { json: answerWith([]) };
        const camera = await opened(page);
        await camera.getByText('No answer at the moment.').waitFor();
        await camera.getByText('Looking…').waitFor();
        const [first = 0, second = 0] = times;
        assert.ok(second - first >= 3900, `${String(second - first)} ms`);
      }));

  test('a photo can still be taken manually', () =>
    visit({}, async (page) => {
      const camera = await opened(page);
      await camera.getByText('Looking…').waitFor();
      await camera.getByRole('button', { name: 'Take the photo' }).click();
      await camera.waitFor({ state: 'hidden' });
      await searchByStage(page);
      await results(page);
      await page.getByRole('heading', { level: 1, name: 'Not recognised' }).waitFor();
    }));

  test('filters of a search by picture also apply to the camera', () =>
    visit({}, async (page) => {
      answer = () => ({ json: answerWith([{ at: 17, outline }]) });
      await pick(page, asFile(album.cover));
      await searchByStage(page);
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByRole('checkbox', { name: 'Best New Music only' }).check();
      await page.getByRole('button', { name: 'Filters (1)' }).waitFor();
      await results(page);
      await opened(page);
      await eventually(() => {
        assert.ok(times.length >= 3);
      });
      const last = recorder.requests.filter(({ method }) => method === 'POST').at(-1);
      assert.match(last?.path ?? '', /best_new_music=true/);
      await page.getByRole('dialog', { name: 'Take a photo' }).waitFor({ state: 'hidden' });
      await page.getByRole('button', { name: 'Filters (1)' }).waitFor();
    }));

  test('a phone opens the live view too, with its own camera one tap away', () =>
    visit({ browser: screens.phone }, async (page) => {
      const camera = await opened(page);
      await eventually(() => {
        assert.ok(times.length > 0);
      });
      const take = await camera.locator('#camera-capture').boundingBox();
      assert.ok(take && take.y + take.height <= screens.phone.viewport.height, 'all is in sight');
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        camera.getByRole('button', { name: 'Use the phone’s camera' }).click(),
      ]);
      assert.equal(await chooser.element().getAttribute('capture'), 'environment');
      await camera.waitFor({ state: 'hidden' });
    }));
});
