import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { browserSkip, screens, Site } from './support/browser.ts';
import {
  answerPictures,
  answerWith,
  coverAt,
  photoOf,
  type MadeFinding,
  type Outline,
  type Sleeve,
} from './support/identification.ts';
import {
  asFile,
  cards,
  describe as search,
  eventually,
  pick,
  results,
  searchByStage,
  shownIds,
  stage,
  starterAlbum,
} from './support/page.ts';

/** A position in the window, in CSS pixels. */
type Point = [x: number, y: number];

/** The corners of every outline, in window coordinates. */
const outlinesShown = (page: Page) =>
  page.evaluate<Point[][]>(`[...document.querySelectorAll('polygon.outline')].map((polygon) => {
    const toWindow = polygon.getScreenCTM();
    return [...polygon.points].map((point) => {
      const { x, y } = new DOMPoint(point.x, point.y).matrixTransform(toWindow);
      return [x, y];
    });
  })`);

/** The topmost, rightmost, lowest and leftmost magenta point in the picture, with the outlines hidden. */
async function magentaShown(page: Page): Promise<Point[]> {
  await page.evaluate(`document.querySelector('.outlined svg').style.visibility = 'hidden'`);
  const clip = await page.locator('.outlined').boundingBox();
  assert.ok(clip);
  const { data, info } = await sharp(await page.screenshot({ clip }))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const scale = info.width / clip.width;
  const found: Point[] = [];
  for (let y = 0; y < info.height; y += 1)
    for (let x = 0; x < info.width; x += 1) {
      const [red = 0, green = 0, blue = 0] = data.subarray(3 * (y * info.width + x));
      if (red > 150 && blue > 150 && green < 100) found.push([x + 0.5, y + 0.5]);
    }
  const most = (rank: (point: Point) => number): Point => {
    const [x, y] = found.reduce((best, point) => (rank(point) > rank(best) ? point : best));
    return [clip.x + x / scale, clip.y + y / scale];
  };
  return [
    most(([, y]) => -y), //
    most(([x]) => x),
    most(([, y]) => y),
    most(([x]) => -x),
  ];
}

const magenta = (): Promise<Buffer> =>
  sharp({ create: { width: 600, height: 600, channels: 3, background: '#f0f' } })
    .png()
    .toBuffer();

/** The largest distance along either axis between corresponding points. */
const apart = (some: readonly Point[], others: readonly Point[]): number =>
  Math.max(
    ...some.flatMap(([x, y], at) => {
      const [otherX, otherY] = others[at] ?? [Infinity, Infinity];
      return [Math.abs(x - otherX), Math.abs(y - otherY)];
    }),
  );

/** The same corners as fractions of a part of the picture. */
const within = (
  outline: Outline,
  part: { left: number; top: number; right: number; bottom: number },
): Outline =>
  outline.map(([x, y]) => [
    (x - part.left) / (part.right - part.left),
    (y - part.top) / (part.bottom - part.top),
  ]);

const pickAndSearch = async (page: Page, photo: Buffer) => {
  await pick(page, asFile(photo, 'photo.jpg'));
  await searchByStage(page);
  await results(page);
};

const square: Outline = [
  [0.1, 0.1],
  [0.9, 0.1],
  [0.9, 0.9],
  [0.1, 0.9],
];

const heading = (page: Page, name: string | RegExp) =>
  page.getByRole('heading', { level: 1, name }).waitFor();

describe('the page names the album in the picture', { skip: browserSkip }, () => {
  const site = new Site();

  /** Searches by a photo, with a stubbed response that has these findings. */
  const visit = (
    findings: readonly MadeFinding[] | null,
    photo: Buffer,
    act: (page: Page, asked: URL[]) => Promise<void>,
    browser = {},
  ) =>
    site.visit('/', { browser }, async (page) => {
      const asked = await answerPictures(page, () => answerWith(findings));
      await pickAndSearch(page, photo);
      await act(page, asked);
    });

  const album = starterAlbum(17);
  const other = starterAlbum(42);

  test('shows “This is …” with the cover, the facts and the picture', () =>
    visit([{ at: 17, outline: square }], album.cover, async (page) => {
      await heading(page, `This is ${album.title} by ${album.artist}`);
      const finding = page.getByRole('list', { name: 'Recognised albums' }).getByRole('listitem');
      assert.equal(await finding.count(), 1);
      await finding.getByRole('link', { name: album.title, exact: true }).waitFor();
      const text = (await finding.textContent()) ?? '';
      const { artist, release_year, genre, score } = album.row;
      for (const fact of [artist, release_year, genre, Number(score).toFixed(1)])
        assert.ok(text.includes(String(fact)), `${text} tells ${String(fact)}`);
      await finding.locator('.cover.loaded').waitFor();
      await page.getByRole('img', { name: 'Your picture, with the sleeve outlined' }).waitFor();
      assert.equal(await page.locator('.finding-number').count(), 0, 'one needs no number');
      await page.getByRole('heading', { level: 2, name: 'Covers that look like it' }).waitFor();
      const ids = await shownIds(page);
      assert.equal(ids[0], album.id);
      assert.equal(new Set(ids).size, 24, 'it is not among the others once more');
      assert.match(await page.title(), /^This is /);
    }));

  test('announces the recognised album', () =>
    visit([{ at: 17, outline: square }], album.cover, async (page) => {
      const said = page.locator('#announcements');
      await said.getByText(`This is ${album.title} by ${album.artist}.`).waitFor();
    }));

  test('links to the details and to similar albums', () =>
    visit([{ at: 17, outline: square }], album.cover, async (page) => {
      const finding = page.locator('.finding');
      await finding.getByRole('link', { name: album.title, exact: true }).click();
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.getByRole('heading', { name: album.title }).waitFor();
      await page.goBack();
      await dialog.waitFor({ state: 'hidden' });
      await finding.getByRole('link', { name: `More like ${album.title}` }).click();
      await heading(page, `Covers like ${album.title}`);
    }));

  const placed: Record<string, Sleeve[]> = {
    upright: [{ cover: Buffer.of(), x: 1200, y: 900, edge: 900 }],
    turned: [{ cover: Buffer.of(), x: 1200, y: 900, edge: 900, angle: 30 }],
  };
  const size = { width: 2400, height: 1800 };
  for (const [screen, browser] of Object.entries({
    desktop: screens.desktop,
    phone: screens.phone,
  }))
    for (const [how, sleeves] of Object.entries(placed))
      test(`the outline lies on the sleeve (${how}, ${screen})`, async () => {
        const cover = await magenta();
        const { photo, outlines } = await photoOf(
          sleeves.map((sleeve) => ({ ...sleeve, cover })),
          size,
        );
        const [outline = []] = outlines;
        await visit(
          [{ at: 17, outline }],
          photo,
          async (page) => {
            const [shown = []] = await outlinesShown(page);
            assert.equal(shown.length, 4);
            await compare(page, shown);
          },
          browser,
        );
      });

  /** Compares an outline with the sleeve visible under it. */
  async function compare(page: Page, shown: Point[]) {
    const seen = await magentaShown(page);
    const [top = [0, 0], right = [0, 0], low = [0, 0], left = [0, 0]] = seen;
    const xs = shown.map(([x]) => x);
    const ys = shown.map(([, y]) => y);
    const edges: Point[] = [
      [Math.min(...xs), Math.min(...ys)],
      [Math.max(...xs), Math.max(...ys)],
    ];
    const wanted: Point[] = [
      [left[0], top[1]],
      [right[0], low[1]],
    ];
    assert.ok(apart(edges, wanted) <= 2, `${String(edges)} for ${String(wanted)}`);
  }

  test('the outline also lies on the sleeve in a crop, and is cut off with it', async () => {
    const cover = await magenta();
    const { photo, outlines } = await photoOf([{ cover, x: 1200, y: 900, edge: 900 }], size);
    const crop = { left: 0.1, top: 0.4, right: 0.9, bottom: 1 };
    const outline = within(outlines[0] ?? [], crop);
    await site.visit('/', {}, async (page) => {
      await answerPictures(page, () => answerWith([{ at: 17, outline }]));
      await pick(page, asFile(photo, 'photo.jpg'));
      await stage(page);
      const press = async (corner: string, keys: readonly string[]) => {
        await page.getByRole('slider', { name: corner }).focus();
        for (const key of keys) await page.keyboard.press(`Shift+${key}`);
      };
      const down = ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown'];
      await press('Top left corner', ['ArrowRight', ...down]);
      await press('Bottom right corner', ['ArrowLeft']);
      await searchByStage(page);
      await results(page);
      const [shown = []] = await outlinesShown(page);
      const box = await page.locator('.outlined').boundingBox();
      assert.ok(box);
      const [top = [0, 0], right = [0, 0], low = [0, 0], left = [0, 0]] = await magentaShown(page);
      assert.ok(Math.min(...shown.map(([, y]) => y)) < box.y - 20, 'it goes on above the crop');
      assert.ok(Math.abs(top[1] - box.y) <= 2, 'where the sleeve is cut off');
      const low2: Point[] = [
        [left[0], low[1]],
        [right[0], low[1]],
      ];
      const corners = shown.toSorted(([, a], [, b]) => b - a).slice(0, 2);
      const bottom = corners.toSorted(([a], [b]) => a - b);
      assert.ok(apart(bottom, low2) <= 2, `${String(bottom)} for ${String(low2)}`);
    });
  });

  test('outlines several albums and numbers them in the picture and the list', async () => {
    const { photo, outlines } = await photoOf(
      [
        { cover: coverAt(17), x: 700, y: 900, edge: 800, angle: -15 },
        { cover: coverAt(42), x: 1700, y: 1000, edge: 650, angle: 100 },
      ],
      size,
    );
    const [one = [], two = []] = outlines;
    const findings = [
      { at: 17, outline: one },
      { at: 42, outline: two },
    ];
    await visit(findings, photo, async (page) => {
      await heading(page, '2 albums recognised');
      assert.equal((await outlinesShown(page)).length, 2);
      const items = page.locator('.finding');
      for (const [at, { title }] of [album, other].entries()) {
        const item = items.nth(at);
        await item.getByRole('link', { name: title, exact: true }).waitFor();
        assert.equal(await item.locator('.finding-number').textContent(), String(at + 1));
      }
      const picture = await page.locator('.outlined').boundingBox();
      assert.ok(picture);
      for (const [at, [x, y]] of [
        [700 / 2400, 900 / 1800],
        [1700 / 2400, 1000 / 1800],
      ].entries() as Iterable<[number, Point]>) {
        const badge = await page.locator('.outlined .finding-number').nth(at).boundingBox();
        assert.ok(badge);
        const middle: Point = [badge.x + badge.width / 2, badge.y + badge.height / 2];
        const wanted: Point = [picture.x + x * picture.width, picture.y + y * picture.height];
        assert.ok(apart([middle], [wanted]) <= 2, `${String(middle)} for ${String(wanted)}`);
      }
      await page.getByRole('heading', { name: 'Covers that look like them' }).waitFor();
      assert.deepEqual((await shownIds(page)).slice(0, 2), [album.id, other.id]);
    });
  });

  test('names alternatives and links to their details', () => {
    const known = starterAlbum(3); // among the results
    const unknown = starterAlbum(90);
    const gone = 999_999;
    const alternatives = [known.id, unknown.id, gone];
    return site.visit('/', { mayLog: /404/ }, async (page) => {
      await answerPictures(page, () => answerWith([{ at: 17, outline: square, alternatives }]));
      const asked: string[] = [];
      page.on('request', (request) => {
        const { pathname } = new URL(request.url());
        if (/^\/api\/albums\/\d+$/.test(pathname)) asked.push(pathname);
      });
      await pickAndSearch(page, album.cover);
      const links = page.locator('.alternatives a');
      await page.getByText('Also possible:').waitFor();
      assert.deepEqual(await links.allTextContents(), [
        `${known.title} by ${known.artist}`,
        `${unknown.title} by ${unknown.artist}`,
      ]);
      assert.deepEqual(
        asked.toSorted(),
        [`/api/albums/${String(unknown.id)}`, `/api/albums/${String(gone)}`].toSorted(),
        'what came with the results is not asked for',
      );
      await links.nth(1).click();
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.getByRole('heading', { name: unknown.title }).waitFor();
    });
  });

  test('requests the facts of a recognised album that the filters exclude', () =>
    site.visit('/', {}, async (page) => {
      await answerPictures(page, () => {
        const answer = answerWith([{ at: 17, outline: square }], 25);
        return { ...answer, results: answer.results.slice(1) };
      });
      await pick(page, asFile(album.cover));
      await searchByStage(page);
      await results(page, 25); // it, and 24 others
      await page.locator('.finding').getByText(String(album.row['release_year'])).waitFor();
    }));

  test('says so if nothing is recognised, and shows the nearest covers', () =>
    visit([], album.cover, async (page) => {
      await heading(page, 'Not recognised');
      const note = 'No album of this catalog was found in the picture.';
      await page.getByText(note, { exact: true }).waitFor();
      await page.getByRole('heading', { level: 2, name: 'The nearest covers' }).waitFor();
      await page.getByRole('img', { name: 'Your picture', exact: true }).waitFor();
      assert.equal(await page.locator('.outlined').count(), 0);
      assert.equal(await page.locator('#grid .card').count(), 24);
      await page
        .locator('#announcements')
        .getByText('Not recognised: no album of this catalog was found in the picture.')
        .waitFor();
    }));

  for (const [how, identified] of [
    ['null', { identified: null }],
    ['absent', {}],
  ] as const)
    test(`says nothing about recognition if identification is off (${how})`, () =>
      site.visit('/', {}, async (page) => {
        const { results: albums } = answerWith(null);
        await answerPictures(page, () => ({ results: albums, ...identified }));
        await pickAndSearch(page, album.cover);
        await heading(page, 'Covers like your picture');
        assert.equal(
          await page
            .locator('main')
            .getByText(/^This is|^Not recognised/)
            .count(),
          0,
        );
        assert.ok(await page.locator('#list-title').isHidden());
        assert.ok(await page.locator('#verdict').isHidden());
        assert.equal(await page.locator('#grid .card').count(), 24);
      }));

  test('“Show more” continues after the albums already shown and repeats none', () =>
    site.visit('/', {}, async (page) => {
      const asked: URL[] = [];
      await page.route('**/api/search-by-image?*', (route) => {
        const url = new URL(route.request().url());
        asked.push(url);
        const offset = Number(url.searchParams.get('offset') ?? 0);
        const { results: all, identified } = answerWith([{ at: 17, outline: square }], 48);
        return route.fulfill({ json: { results: all.slice(offset, offset + 24), identified } });
      });
      await pickAndSearch(page, album.cover);
      await page.getByRole('button', { name: 'Show more' }).focus();
      await page.keyboard.press('Enter');
      await results(page, 48);
      assert.equal(asked[1]?.searchParams.get('offset'), '24');
      assert.equal(new Set(await shownIds(page)).size, 48);
      await eventually(async () => {
        const focused = await page.evaluate<number>(
          `[...document.querySelectorAll('#grid .card-link')].indexOf(document.activeElement)`,
        );
        assert.equal(focused, 23, 'the first of the new albums, after 23 that are no finding');
      });
    }));

  test('going back and reloading show the same results', () =>
    visit([{ at: 17, outline: square }], album.cover, async (page, asked) => {
      const shown = await outlinesShown(page);
      const ids = await shownIds(page);
      await search(page, 'something else');
      await heading(page, 'Covers like “something else”');
      await results(page);
      assert.equal(await page.locator('.finding').count(), 0);
      await page.goBack();
      await heading(page, /^This is /);
      await results(page);
      assert.equal(asked.length, 1, 'without asking again');
      await page.reload();
      await heading(page, /^This is /);
      await results(page);
      assert.deepEqual(await shownIds(page), ids);
      assert.equal(asked.length, 2);
      await eventually(async () => {
        const [before = []] = shown;
        const [after = []] = await outlinesShown(page);
        assert.ok(apart(after, before) <= 1);
      });
    }));

  test('the crop can be adjusted when the picture is shown large', () =>
    visit([{ at: 17, outline: square }], album.cover, async (page) => {
      await page.getByRole('button', { name: 'Adjust the crop' }).click();
      await stage(page);
    }));

  test('names the album even if the browser cannot show the picture', () =>
    site.visit('/', { mayLog: /./ }, async (page) => {
      await answerPictures(page, () => answerWith([{ at: 17, outline: square }]));
      await pick(page, asFile(Buffer.from('not for browsers'), 'photo.heic', 'image/heic'));
      await results(page);
      await heading(page, /^This is /);
      await page.locator('.outlined').waitFor({ state: 'hidden' });
      assert.equal(await cards(page).count(), 24);
    }));

  test('is translated into French', () =>
    visit(
      [{ at: 17, outline: square, alternatives: [other.id] }],
      album.cover,
      async (page) => {
        await heading(page, `C’est ${album.title}, ${album.artist}`);
        await page.getByText('Peut-être aussi :').waitFor();
        await page.getByRole('heading', { name: 'Pochettes qui lui ressemblent' }).waitFor();
      },
      { locale: 'fr-FR' },
    ));
});
