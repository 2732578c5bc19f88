import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { browserSkip, screens, Site } from './support/browser.ts';
import { answerPictures, answerWith, stubHealth, type Outline } from './support/identification.ts';
import {
  asFile,
  cards,
  describe,
  eventually,
  onTable,
  pick,
  problem,
  results,
  searchByStage,
  stage,
  starterAlbum,
} from './support/page.ts';

const { id, cover, title } = starterAlbum(17);

/** Extremes of real catalogs: very long names and missing facts. */
const unruly = [
  {
    artist: null,
    album_name: null,
    genre: null,
    release_year: null,
    pitchfork_score: null,
    label: null,
    reviewer: null,
  },
  {
    artist: 'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch',
    album_name: 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft',
    genre: 'Experimental / Electronic / Folk/Country / Pop/R&B / Rock',
    release_year: 1999,
    pitchfork_score: 10,
    label: 'Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz',
    reviewer: 'N. N.',
  },
  {
    artist: 'The Band With a Name So Long That It Goes On for Two Whole Lines and Then Some More',
    album_name:
      'When the Pawn Hits the Conflicts He Thinks Like a King What He Knows Throws the Blows',
    genre: 'Rock',
    release_year: 2001,
    pitchfork_score: 0,
    label: 'Self-released',
    reviewer: null,
  },
].map((album, at) => ({
  ...album,
  album_id: at + 1,
  similarity_score: -0.12,
  best_new_music: at < 2,
}));

const stubUnruly = async (page: Page) => {
  await page.route('**/api/search-by-text?*k=24*', (route) =>
    route.fulfill({ json: { results: unruly } }),
  );
  await page.route('**/api/albums/2', (route) =>
    route.fulfill({ json: { ...unruly[1], cover_url_original: 'https://covers.example/2' } }),
  );
};

/** Recognises all three albums: one has three alternatives, one extends beyond the picture's edge. */
const stubRecognised = (page: Page) =>
  page.route('**/api/search-by-image?*', (route) => {
    const [nameless, long, longer] = unruly.map(({ album_id, artist, album_name }, at) => ({
      ...{ album_id, artist, album_name, points: 40 },
      outline: [
        [0.1 + 0.4 * at, 0.1],
        [0.5 + 0.4 * at, 0.2],
        [0.5 + 0.4 * at, 0.7],
        [0.1 + 0.4 * at, 0.6],
      ],
      alternatives: at === 1 ? [1, 2, 3] : [],
    }));
    const rest = { ...unruly[1], album_id: 4 };
    const identified = [long, nameless, longer];
    return route.fulfill({ json: { results: [...unruly, rest], identified } });
  });

/** The page's main states: where to start and how to reach each. */
const states: Record<
  string,
  { path: string; reach?: (page: Page) => Promise<void>; mayLog?: RegExp }
> = {
  'the empty page': {
    path: '/',
    reach: async (page) => {
      await page.locator('.crate-cover .cover.loaded').nth(5).waitFor();
      await page.locator('.sleeve').hover(); // the record comes out further
    },
  },
  results: {
    path: '/?query=a+red+circle&genre=Rock&genre=Jazz&year_min=1970&score_min=2.5',
    reach: async (page) => {
      await results(page);
    },
  },
  'suggested names': {
    path: '/',
    reach: async (page) => {
      await page.locator('#words').pressSequentially('the');
      await page.locator('#suggestions .cover.loaded').nth(7).waitFor();
      await page.keyboard.press('ArrowDown');
    },
  },
  'matching names': {
    path: '/?query=first',
    reach: async (page) => {
      await results(page);
      await page.locator('#name-grid .cover.loaded').first().waitFor();
    },
  },
  'the filters': {
    path: '/?query=blue&genre=Rock',
    reach: async (page) => {
      await results(page);
      await page.getByRole('button', { name: /^Filters|^Filtres/ }).click();
      await page.locator('.choices').waitFor();
    },
  },
  'albums like one': {
    path: `/?similar_to=${String(id)}`,
    reach: async (page) => {
      await results(page);
      await page.locator('.subject-picture .cover.loaded').waitFor();
    },
  },
  'a picture being cropped': {
    path: '/',
    reach: async (page) => {
      await pick(page, asFile(await onTable(cover)));
      await stage(page);
    },
  },
  'the live picture of the camera': {
    path: '/',
    reach: async (page) => {
      await stubHealth(page, true);
      await page.reload();
      await page.locator('#starter-note').waitFor();
      await page.locator('#photograph').click();
      await page.getByRole('dialog', { name: /photo/ }).waitFor();
      await page.locator('#camera-status').getByText(/…/).waitFor();
    },
  },
  'the note of the starter set': {
    path: '/?query=blue',
    reach: async (page) => {
      await results(page);
      await page.locator('#starter-note button').click();
      await page.locator('#starter-text').waitFor();
    },
  },
  'results of a picture': {
    path: '/',
    reach: async (page) => {
      await pick(page, asFile(cover));
      await searchByStage(page);
      await results(page);
    },
  },
  'albums that were recognised': {
    path: '/',
    reach: async (page) => {
      await stubRecognised(page);
      await pick(page, asFile(await onTable(cover)));
      await searchByStage(page);
      await results(page, 4);
      await page.locator('.alternatives').waitFor();
    },
  },
  'one album that was recognised': {
    path: '/',
    reach: async (page) => {
      const outline: Outline = [
        [0.3, 0.2],
        [0.7, 0.2],
        [0.7, 0.8],
        [0.3, 0.8],
      ];
      const findings = [{ at: 17, outline, alternatives: [starterAlbum(3).id] }];
      await answerPictures(page, () => answerWith(findings));
      await pick(page, asFile(await onTable(cover)));
      await searchByStage(page);
      await results(page);
      await page.locator('.alternatives').waitFor();
    },
  },
  'a picture in which nothing was recognised': {
    path: '/',
    reach: async (page) => {
      await answerPictures(page, () => answerWith([]));
      await pick(page, asFile(cover));
      await searchByStage(page);
      await results(page);
    },
  },
  'the details of an album': {
    path: `/?query=blue&album=${String(id)}`,
    reach: (page) => page.getByRole('dialog').getByRole('heading', { name: title }).waitFor(),
  },
  'names of any length, and none': {
    path: '/',
    reach: async (page) => {
      await stubUnruly(page);
      await describe(page, 'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch');
      await results(page, 3);
    },
  },
  'details of a long name': {
    path: '/',
    reach: async (page) => {
      await stubUnruly(page);
      await describe(page, 'blue');
      await results(page, 3);
      await cards(page).nth(1).locator('.card-link').click();
      await page
        .getByRole('dialog')
        .getByRole('heading', { name: /^Donau/ })
        .waitFor();
    },
  },
  'a failure': {
    path: '/',
    mayLog: /Failed to load resource/,
    reach: async (page) => {
      await page.route('**/api/search-by-text?*k=24*', (route) =>
        route.fulfill(problem(503, 'starting', { 'retry-after': '300' })),
      );
      await describe(page, 'blue');
      await page.locator('.problem').waitFor();
    },
  },
  'a key that is asked for': {
    path: '/',
    mayLog: /Failed to load resource/,
    reach: async (page) => {
      await page.route('**/api/search-by-text?*k=24*', (route) =>
        route.fulfill(problem(401, 'unauthorized')),
      );
      await describe(page, 'blue');
      await page.getByRole('textbox', { name: /key|clé/ }).waitFor();
    },
  },
  'no results': {
    path: '/?query=blue&year_min=1960&year_max=1960&score_min=10',
    reach: (page) => page.locator('#end').getByText(/./).waitFor(),
  },
};

/** No animations during the checks. */
const still = { reducedMotion: 'reduce' } as const;

suite('the page is accessible', { skip: browserSkip }, () => {
  const site = new Site();

  for (const colorScheme of ['light', 'dark'] as const)
    for (const [name, { path, reach, mayLog }] of Object.entries(states))
      test(`axe finds nothing wrong with ${name} (${colorScheme})`, () =>
        site.visit(
          path,
          { browser: { ...still, colorScheme }, ...(mayLog && { mayLog }) },
          async (page) => {
            await reach?.(page);
            const { violations } = await new AxeBuilder({ page }).analyze();
            assert.deepEqual(
              violations.map(({ id: rule, nodes }) => [
                rule,
                nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ''}`),
              ]),
              [],
            );
          },
        ));

  for (const [screen, browser] of Object.entries(screens))
    for (const locale of ['en-US', 'fr-FR'])
      test(`nothing overflows or is cut at ${String(browser.viewport.width)} pixels (${screen}, ${locale})`, async () => {
        for (const [name, { path, reach, mayLog }] of Object.entries(states))
          await site.visit(
            path,
            { browser: { ...still, ...browser, locale }, ...(mayLog && { mayLog }) },
            async (page) => {
              await reach?.(page);
              assert.deepEqual(await page.evaluate<string[]>(misfits), [], name);
            },
          );
      });

  test('everything works by keyboard alone: search, filters, details, similar albums', () =>
    site.visit('/', {}, async (page) => {
      const focused = () =>
        page.evaluate<string>(
          `(document.activeElement.getAttribute('aria-label') ?? (document.activeElement.labels?.[0] ?? document.activeElement).innerText).trim()`,
        );
      /** Presses Tab until an element with that name has the focus. */
      const tabTo = async (name: RegExp, key = 'Tab') => {
        for (let i = 0; i < 80; i += 1) {
          await page.keyboard.press(key);
          if (name.test(await focused())) return;
        }
        assert.fail(`Tab leads nowhere near ${String(name)}`);
      };
      await page.locator('.crate-cover').first().waitFor();
      await page.keyboard.press('Tab');
      assert.equal(await focused(), 'Skip to the content');
      await page.keyboard.press('Enter');
      await tabTo(/^Choose a picture$/);
      await tabTo(/^Name or describe an album$/);
      await page.keyboard.type('a green heart');
      await page.keyboard.press('Enter');
      await results(page);
      assert.equal(
        await focused(),
        'Covers like “a green heart”',
        'the results are where one goes on',
      );

      await tabTo(/^Filters/);
      await page.keyboard.press('Enter');
      await page.locator('.choices').waitFor();
      await tabTo(/^Rock/);
      await page.keyboard.press('Space');
      await page.getByRole('button', { name: 'Remove the filter Rock' }).waitFor();
      assert.match(await focused(), /^Rock/, 'the focus stays in the filters');
      await tabTo(/^from$/);
      await page.keyboard.type('1970');
      await page.keyboard.press('Tab'); // which sets the year
      assert.equal(await focused(), 'to');
      await page.keyboard.type('1999');
      await tabTo(/^Pitchfork score$/);
      await page.keyboard.press('ArrowRight');
      await page.getByRole('button', { name: 'Filters (4)' }).waitFor();
      await page.locator('#grid[aria-busy="false"]').waitFor();
      await tabTo(/^Remove the filter Rock$/, 'Shift+Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Filters (3)' }).waitFor();
      assert.match(await focused(), /^Filters/, 'what had the focus is gone');

      await results(page);
      const first = cards(page).first().locator('.card-link');
      const name = (await first.innerText()).trim();
      await first.focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.getByRole('heading', { name }).waitFor();
      for (let i = 0; i < 8; i += 1) {
        await page.keyboard.press('Tab');
        const inside = await page.evaluate<boolean>(
          `document.activeElement === document.body || document.querySelector('#detail').contains(document.activeElement)`,
        );
        assert.ok(inside, 'the focus stays in the dialog');
      }
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'hidden' });
      assert.equal(await focused(), name, 'and goes back to where it was');
      await tabTo(new RegExp(`^More like ${name}$`));
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: `Covers like ${name}` }).waitFor();
      await results(page);
    }));

  test('“Show more” moves the focus to the first new album', () =>
    site.visit('/?query=green', {}, async (page) => {
      await results(page);
      await page.getByRole('button', { name: 'Show more' }).focus();
      await page.keyboard.press('Enter');
      await results(page, 48);
      await eventually(async () => {
        const at = await page.evaluate<number>(
          `[...document.querySelectorAll('.card')].indexOf(document.activeElement.closest('.card'))`,
        );
        assert.equal(at, 24);
      });
    }));

  test('the focused element has a visible outline', () =>
    site.visit('/?query=green', {}, async (page) => {
      await results(page);
      for (let i = 0; i < 12; i += 1) {
        await page.keyboard.press('Tab');
        const visible = await page.evaluate<boolean>(
          `[document.activeElement, document.activeElement.closest('.describe-field')].some((element) => element && getComputedStyle(element).outlineStyle !== 'none' && parseFloat(getComputedStyle(element).outlineWidth) >= 2)`,
        );
        assert.ok(visible, await page.evaluate<string>('document.activeElement.outerHTML'));
      }
    }));

  test('the outcome of a search is announced', () =>
    site.visit('/', {}, async (page) => {
      const said = page.getByRole('status');
      await describe(page, 'a green heart');
      await results(page);
      const first = (await cards(page).first().locator('.card-link').innerText()).trim();
      await eventually(async () => {
        assert.match(await said.innerText(), new RegExp(`^24 albums; the closest is ${first} by `));
      });
      await page.getByRole('button', { name: 'Show more' }).click();
      await results(page, 48);
      await eventually(async () => {
        assert.equal((await said.innerText()).trim(), '24 more, 48 albums in all.');
      });
    }));

  test('each view has landmarks and exactly one level 1 heading', () =>
    site.visit('/', {}, async (page) => {
      for (const role of ['banner', 'main', 'contentinfo', 'search'] as const)
        assert.equal(await page.getByRole(role).count(), 1, role);
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
      await describe(page, 'blue');
      await results(page);
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
      assert.equal(await page.getByRole('region', { name: 'Covers like “blue”' }).count(), 1);
    }));

  test('follows the colour scheme of the system', () =>
    site.visit('/', { browser: { colorScheme: 'dark' } }, async (page) => {
      const [paper, ink] = await page.evaluate<[string, string]>(
        '[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]',
      );
      assert.ok(brightness(paper) < 40 && brightness(ink) > 200, `${ink} on ${paper}`);
      await page.emulateMedia({ colorScheme: 'light' });
      const light = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      assert.ok(brightness(light) > 200, light);
    }));

  test('has no animations if reduced motion is preferred', () =>
    site.visit('/', { browser: still }, async (page) => {
      await page.route('**/api/search-by-text?*k=24*', () => undefined);
      await describe(page, 'still');
      await page.locator('.card.skeleton').first().waitFor();
      assert.equal(await page.evaluate<number>('document.getAnimations().length'), 0);
      await page.emulateMedia({ reducedMotion: 'no-preference' });
      await eventually(async () => {
        assert.ok((await page.evaluate<number>('document.getAnimations().length')) > 0);
      });
    }));

  test('is in French for a French browser, including numbers', () =>
    site.visit(
      `/?query=blue&album=${String(id)}`,
      { browser: { locale: 'fr-FR' } },
      async (page) => {
        assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
        const dialog = page.getByRole('dialog', { name: 'Album' });
        await dialog.getByText('Note Pitchfork').waitFor();
        await dialog.getByRole('button', { name: 'Fermer' }).click();
        await dialog.waitFor({ state: 'hidden' });
        await results(page);
        assert.equal(
          await page.locator('h1:visible').textContent(),
          'Pochettes proches de « blue »',
        );
        assert.match(
          await cards(page).first().locator('.similarity .number').innerText(),
          /^-?\d,\d\d$/,
        );
        await page.getByRole('button', { name: 'Filtres' }).click();
        await page.getByRole('group', { name: 'Sortie' }).waitFor();
      },
    ));

  test('the language can be chosen at any time, and is remembered', () =>
    site.visit('/?query=blue', {}, async (page) => {
      await results(page);
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByRole('group', { name: 'Released' }).waitFor();
      await page.getByRole('button', { name: 'Français' }).click();
      await page
        .getByRole('heading', { level: 1, name: 'Pochettes proches de « blue »' })
        .waitFor();
      await page.getByRole('group', { name: 'Sortie' }).waitFor();
      assert.equal(
        await page.getByRole('button', { name: 'Français' }).getAttribute('aria-pressed'),
        'true',
      );
      await page.reload();
      await page
        .getByRole('heading', { level: 1, name: 'Pochettes proches de « blue »' })
        .waitFor();
      await page.getByRole('button', { name: 'English' }).click();
      await page.getByRole('heading', { level: 1, name: 'Covers like “blue”' }).waitFor();
    }));

  test('falls back to English for other languages', () =>
    site.visit('/', { browser: { locale: 'de-DE' } }, async (page) => {
      await page.getByRole('heading', { name: 'Which record is this?' }).waitFor();
    }));
});

/** Brightness of an `rgb()` colour, 0 to 255. */
const brightness = (colour: string) => {
  const [r = 0, g = 0, b = 0] = (colour.match(/\d+/g) ?? []).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b;
};

/** Runs in the page: lists what is too wide, sticks out of the screen, has cut-off text or overlaps another control. */
const misfits = `(() => {
  const found = [];
  const width = document.documentElement.clientWidth;
  const tell = (what, element) => found.push(what + ': ' + element.outerHTML.slice(0, 160));
  if (document.documentElement.scrollWidth > width) found.push('the page scrolls sideways');
  const open = document.querySelector('dialog[open]');
  const scope = open ?? document.body;
  if (open && open.scrollWidth > open.clientWidth) tell('scrolls sideways', open);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.unseen, .skip, .sprite') && !getComputedStyle(element).clipPath.startsWith('inset(50%');
  const clipsOnPurpose = (element) => element.closest('.card-title, .card-artist, .starter-short');
  for (const element of scope.querySelectorAll('*')) {
    if (!shown(element) || element.closest('svg, .crop-shade')) continue;
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) continue;
    if (box.left < -0.5 || box.right > width + 0.5) tell('sticks out', element);
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    const holdsText = hasText || element.matches('a, button');
    if (holdsText && !clipsOnPurpose(element) && style.display !== 'inline' && element.scrollWidth > element.clientWidth + 1)
      tell('its text is cut', element);
  }
  const controls = [...scope.querySelectorAll('a, button, input:not(.unseen), [role=slider]')].filter(shown);
  for (const [i, one] of controls.entries())
    for (const other of controls.slice(i + 1)) {
      if (one.contains(other) || other.contains(one) || one.closest('.cropper') || one.id === 'detail-close') continue;
      const a = one.getBoundingClientRect();
      const b = other.getBoundingClientRect();
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 1) tell('lies over ' + other.outerHTML.slice(0, 80), one);
    }
  return found;
})()`;
