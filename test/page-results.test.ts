import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { browserSkip, Site } from './support/browser.ts';
import {
  atQuery,
  cards,
  describe,
  eventually,
  results,
  shownIds,
  starterAlbum,
  type PageElement,
} from './support/page.ts';
import { starterIds, starterRows } from './support/requests.ts';

const { id, title } = starterAlbum(17);
const rows = starterRows();
const rowOf = (albumId: number) => rows.find((one) => one['local_id'] === albumId) ?? {};

/** The query parameters of the searches that a page sends, in order. */
function searchesOf(page: Page): URLSearchParams[] {
  const searches: URLSearchParams[] = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/\/api\/search-by|\/similar$/.test(url.pathname)) searches.push(url.searchParams);
  });
  return searches;
}

suite('the page finds and shows albums', { skip: browserSkip }, () => {
  const site = new Site();

  test('searches by description and shows the facts of a result', () =>
    site.visit('/', {}, async (page) => {
      await describe(page, 'a red circle');
      await results(page);
      assert.equal(await page.locator('h1:visible').textContent(), 'Covers like “a red circle”');
      assert.equal(await page.title(), 'Covers like “a red circle” · Shazam Visual');
      const [first = 0] = await shownIds(page);
      const facts = rowOf(first);
      const card = cards(page).first();
      const text = (await card.innerText()).replace(/\s+/g, ' ');
      for (const fact of ['album_name', 'artist', 'release_year', 'genre'])
        assert.ok(text.includes(String(facts[fact])), `${fact} in ${text}`);
      assert.ok(text.includes(Number(facts['score']).toFixed(1)), text);
    }));

  test('shows similarity as a bar and a number that agree', () =>
    site.visit(`/?similar_to=${String(id)}`, {}, async (page) => {
      await results(page);
      const seen = await cards(page).evaluateAll((list: PageElement[]) =>
        list.map((card) => ({
          bar: Number(card.querySelector('meter')?.getAttribute('value')),
          number: Number(card.querySelector('.similarity .number')?.textContent),
          label: card.querySelector('meter')?.getAttribute('aria-label'),
        })),
      );
      for (const { bar, number, label } of seen) {
        assert.ok(Math.abs(bar - number) <= 0.0051, `${String(bar)} beside ${String(number)}`);
        assert.equal(label, 'Similarity');
      }
      const bars = seen.map(({ bar }) => bar);
      assert.deepEqual(
        bars,
        [...bars].sort((a, b) => b - a),
        'the most similar first',
      );
    }));

  test('only Best New Music albums carry the mark', () =>
    site.visit('/?query=blue&best_new_music=true', {}, async (page) => {
      await results(page, Math.min(24, rows.filter((one) => one['best_new_music'] === 1).length));
      assert.equal(await page.locator('.card .sticker').count(), await cards(page).count());
      await page.getByRole('button', { name: 'Remove the filter Best New Music' }).click();
      await eventually(async () => {
        const marked = await page
          .locator('.card:has(.sticker) .card-link')
          .evaluateAll((links: PageElement[]) =>
            links.map((link) => new URLSearchParams(link.getAttribute('href') ?? '').get('album')),
          );
        const expected = (await shownIds(page)).filter((one) => rowOf(one)['best_new_music'] === 1);
        assert.ok(expected.length < 24);
        assert.deepEqual(marked.map(Number), expected);
      });
    }));

  test('covers are lazily loaded thumbnails of the displayed size', () =>
    site.visit('/?query=blue', {}, async (page) => {
      const asked: string[] = [];
      page.on('request', (request) => {
        if (request.url().includes('/api/image/')) asked.push(request.url());
      });
      await results(page);
      const image = cards(page).first().locator('img');
      assert.equal(await image.getAttribute('loading'), 'lazy');
      const srcset = (await image.getAttribute('srcset')) ?? '';
      assert.deepEqual(
        srcset.match(/size=\d+ \d+w/g),
        ['160 160w', '320 320w', '640 640w'].map((size) => `size=${size}`),
      );
      await cards(page).first().locator('.cover.loaded').waitFor();
      await eventually(() => {
        assert.ok(
          asked.some((url) => url.endsWith('?size=320')),
          'the middle size on this screen',
        );
      });
      const last = cards(page).last().locator('.cover');
      await last.scrollIntoViewIfNeeded();
      await page.locator('.card:last-child .cover.loaded').waitFor();
      const type = await page.evaluate<string>(
        `fetch(document.querySelector('.card img').currentSrc, { headers: { accept: 'image/webp' } }).then((r) => r.headers.get('content-type'))`,
      );
      assert.equal(type, 'image/webp');
    }));

  test('shows an empty sleeve in place of a missing cover', () =>
    site.visit(
      '/?query=blue',
      {
        mayLog: /Failed to load resource/,
        prepare: async (page) => {
          await page.route('**/api/image/**', (route) => route.fulfill({ status: 404, body: '' }));
        },
      },
      async (page) => {
        await results(page);
        await page.locator('.card .cover.missing').first().waitFor();
        const box = await page.locator('.card .cover').first().boundingBox();
        assert.ok(box && Math.abs(box.width - box.height) < 1, 'still a square');
      },
    ));

  test('filters come from the catalog, narrow the search and can be removed', () =>
    site.visit('/?query=blue', {}, async (page) => {
      const searches = searchesOf(page);
      await results(page);
      await page.getByRole('button', { name: 'Filters' }).click();
      const { genres } = (await (await fetch(`${site.url}/api/genres`)).json()) as {
        genres: { genre: string; albums: number }[];
      };
      const choices = page.getByRole('group', { name: 'Genre' }).getByRole('checkbox');
      await choices.first().waitFor();
      assert.equal(await choices.count(), genres.length);
      const years = (await (await fetch(`${site.url}/api/year-range`)).json()) as Record<
        string,
        number
      >;
      const from = page.getByLabel('from', { exact: true });
      assert.equal(await from.getAttribute('placeholder'), String(years['year_min']));

      await page.getByRole('checkbox', { name: /^Rock/ }).check();
      await page.getByRole('button', { name: 'Remove the filter Rock' }).waitFor();
      await page.getByRole('checkbox', { name: /^Jazz/ }).check();
      await page.getByRole('button', { name: 'Remove the filter Jazz' }).waitFor();
      await from.fill('1980');
      await from.press('Enter');
      await page.getByRole('button', { name: 'Remove the filter from 1980' }).waitFor();
      await page.getByLabel('to', { exact: true }).fill('2005');
      await page.keyboard.press('Tab');
      await page.getByRole('button', { name: 'Remove the filter until 2005' }).waitFor();
      await page.getByRole('slider', { name: 'Pitchfork score' }).fill('6.5');
      await page.getByRole('button', { name: 'Remove the filter score 6.5 or more' }).waitFor();
      await eventually(async () => {
        const shown = (await shownIds(page)).map(rowOf);
        assert.ok(shown.length > 0);
        for (const one of shown) {
          assert.match(String(one['genre']), /Rock|Jazz/);
          const year = Number(one['release_year']);
          assert.ok(year >= 1980 && year <= 2005, String(year));
          assert.ok(Number(one['score']) >= 6.5, String(one['score']));
        }
      });
      assert.equal(
        searches.at(-1)?.toString(),
        'genre=Rock&genre=Jazz&year_min=1980&year_max=2005&score_min=6.5&k=24&query=blue',
      );
      await page.getByRole('button', { name: 'Filters (5)' }).waitFor();

      await page.getByRole('button', { name: 'Remove the filter Rock' }).click();
      await page.getByRole('button', { name: 'Filters (4)' }).waitFor();
      assert.ok(!(await page.getByRole('checkbox', { name: /^Rock/ }).isChecked()));
      await page.getByRole('button', { name: 'Clear the filters' }).click();
      await results(page);
      await atQuery(page, '?query=blue');
      await page.getByRole('checkbox', { name: 'Best New Music only' }).check();
      await eventually(async () => {
        const shown = await shownIds(page);
        assert.ok(shown.length > 0);
        assert.ok(shown.every((one) => rowOf(one)['best_new_music'] === 1));
      });
    }));

  test('corrects years in the wrong order and out of range', () =>
    site.visit('/?query=blue', {}, async (page) => {
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByLabel('from', { exact: true }).fill('2010');
      await page.getByLabel('to', { exact: true }).fill('12');
      await page.keyboard.press('Tab');
      await eventually(() => {
        assert.match(page.url(), /year_min=19\d\d&year_max=2010/);
      });
    }));

  test('says so if no album passes the filters, and one click clears them', () =>
    site.visit('/?query=blue&year_min=1960&year_max=1960&score_min=10', {}, async (page) => {
      await page.getByText('No album matches these filters.').first().waitFor();
      await page.getByRole('button', { name: 'Clear the filters' }).click();
      await results(page);
    }));

  test('“More like this” leads to similar albums, without the album itself', () =>
    site.visit('/?query=blue', {}, async (page) => {
      await results(page);
      const [first = 0] = await shownIds(page);
      const name = String(rowOf(first)['album_name']);
      await cards(page)
        .first()
        .getByRole('link', { name: `More like ${name}` })
        .click();
      await page.getByRole('heading', { level: 1, name: `Covers like ${name}` }).waitFor();
      await results(page);
      await atQuery(page, `?similar_to=${String(first)}`);
      assert.ok(!(await shownIds(page)).includes(first));
      await page
        .getByRole('img', { name: `Cover of ${name} by ${String(rowOf(first)['artist'])}` })
        .waitFor();
    }));

  test('details open over the results, with every fact and links to the cover', () =>
    site.visit('/?query=blue', {}, async (page) => {
      await results(page);
      const [first = 0] = await shownIds(page);
      const facts = rowOf(first);
      await cards(page).first().locator('.card-link').click();
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.getByRole('heading', { name: String(facts['album_name']) }).waitFor();
      const text = await dialog.innerText();
      for (const fact of ['artist', 'release_year', 'genre', 'label', 'reviewer_name'])
        assert.ok(text.includes(String(facts[fact])), `${fact} in ${text}`);
      assert.ok(text.includes(Number(facts['score']).toFixed(1)));
      const file = dialog.getByRole('link', { name: /^Open the cover/ });
      assert.equal(await file.getAttribute('href'), `${site.url}/api/image/${String(first)}`);
      assert.equal(
        await dialog.getByRole('link', { name: /^Original cover/ }).count(),
        0,
        'made-up albums have none',
      );
      await dialog.getByRole('button', { name: 'Close' }).click();
      await dialog.waitFor({ state: 'hidden' });
      await atQuery(page, '?query=blue');
    }));

  for (const [url, count] of [
    ['https://covers.example/17.jpg', 1],
    ['javascript:alert(1)', 0],
  ] as const)
    test(`has ${count === 1 ? 'a' : 'no'} link to an original cover at ${url.slice(0, 11)}…`, () =>
      site.visit(
        `/?query=blue&album=${String(id)}`,
        {
          prepare: async (page) => {
            await page.route(`**/api/albums/${String(id)}`, async (route) => {
              const answer = await route.fetch();
              const album = (await answer.json()) as object;
              await route.fulfill({ json: { ...album, cover_url_original: url } });
            });
          },
        },
        async (page) => {
          const dialog = page.getByRole('dialog', { name: 'Album' });
          await dialog.getByRole('link', { name: /^Open the cover/ }).waitFor();
          const original = dialog.getByRole('link', { name: /^Original cover/ });
          assert.equal(await original.count(), count);
          if (count === 1) {
            assert.equal(await original.getAttribute('href'), url);
            assert.match((await original.getAttribute('rel')) ?? '', /noreferrer/);
          }
        },
      ));

  test('the details lead to similar albums', () =>
    site.visit(`/?query=blue&album=${String(id)}`, {}, async (page) => {
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.getByRole('link', { name: 'More like this' }).click();
      await page.getByRole('heading', { level: 1, name: `Covers like ${title}` }).waitFor();
      await dialog.waitFor({ state: 'hidden' });
      await results(page);
    }));

  test('“Show more” continues where the page ended, up to 200 results', () =>
    site.visit('/?query=green', {}, async (page) => {
      const searches = searchesOf(page);
      await results(page);
      const more = page.getByRole('button', { name: 'Show more' });
      for (let count = 48; count < 200; count += 24) {
        await more.click();
        await results(page, count);
      }
      await more.click();
      await results(page, 200);
      await more.waitFor({ state: 'hidden' });
      await page.getByText('These are the 200 closest; no more are shown.').waitFor();
      const ids = await shownIds(page);
      assert.equal(new Set(ids).size, 200, 'no album twice');
      const offsets = searches.map((search) => search.get('offset'));
      assert.deepEqual(offsets.slice(-8), ['24', '48', '72', '96', '120', '144', '168', '192']);
    }));

  test('has no “Show more” if fewer albums pass the filters than a page holds', () =>
    site.visit('/?query=green&genre=Metal&best_new_music=true', {}, async (page) => {
      const count = rows.filter(
        (one) => String(one['genre']).includes('Metal') && one['best_new_music'] === 1,
      ).length;
      assert.ok(count < 24);
      await results(page, count);
      assert.ok(await page.getByRole('button', { name: 'Show more' }).isHidden());
    }));

  test('falls back to smaller pages if the server allows fewer results at a time', () =>
    site.visit(
      '/?query=green',
      {
        mayLog: /status of 400/,
        prepare: async (page) => {
          await page.route('**/api/search-by-text?*', async (route) => {
            const url = new URL(route.request().url());
            if (Number(url.searchParams.get('k') ?? 0) <= 12) return route.continue();
            return route.fulfill({
              status: 400,
              contentType: 'application/problem+json',
              body: JSON.stringify({
                code: 'invalid_parameter',
                detail: 'Any words: the page goes by the code and the names.',
                parameters: ['k'],
              }),
            });
          });
        },
      },
      async (page) => {
        await results(page, 10);
        await page.getByRole('button', { name: 'Show more' }).click();
        await results(page, 20);
      },
    ));

  test('shows progress and placeholders while a search is running', () =>
    site.visit('/', {}, async (page) => {
      let release = () => undefined as unknown;
      const held = new Promise(
        (resolve) =>
          (release = () => {
            resolve(undefined);
          }),
      );
      await page.route('**/api/search-by-text?*', async (route) => {
        await held;
        await route.continue();
      });
      await describe(page, 'slow');
      await page.getByRole('progressbar', { name: 'Looking through the covers…' }).waitFor();
      assert.equal(await page.locator('.card.skeleton').count(), 12);
      assert.equal(await page.locator('#grid').getAttribute('aria-busy'), 'true');
      release();
      await results(page);
      assert.ok(await page.getByRole('progressbar').isHidden());
      assert.equal(await page.locator('.card.skeleton').count(), 0);
    }));

  test('ignores the response to a superseded search', () =>
    site.visit('/', {}, async (page) => {
      await page.route('**/api/search-by-text?*query=first*', async (route) => {
        await page.waitForURL('**/?query=second'); // answer the first only after the second was sent
        await route.continue().catch(() => undefined);
      });
      await describe(page, 'first');
      await page.locator('.card.skeleton').first().waitFor();
      await describe(page, 'second');
      await results(page);
      assert.equal(await page.locator('h1:visible').textContent(), 'Albums for “second”');
      const answer = await fetch(`${site.url}/api/search-by-text?query=second&k=24`);
      const { results: expected } = (await answer.json()) as { results: { album_id: number }[] };
      assert.deepEqual(
        await shownIds(page),
        expected.map((one) => one.album_id),
      );
    }));

  test('the empty page offers covers of this catalog and descriptions that suit it', () =>
    site.visit('/', {}, async (page) => {
      const crate = page.getByRole('region', { name: 'A few covers' });
      const first = crate.getByRole('link').first();
      await first.waitFor();
      assert.equal(await crate.getByRole('link').count(), 6);
      await crate.locator('.cover.loaded').first().waitFor();
      await page.getByText(`of ${String(starterIds().length)} albums`).waitFor();
      await first.click();
      await results(page);
      await atQuery(page, /similar_to=\d+$/);
      await page.goBack();
      await page
        .getByRole('list', { name: 'For example:' })
        .getByRole('link', { name: 'blue waves' })
        .click();
      await results(page);
      assert.equal(await page.locator('#words').inputValue(), 'blue waves');
    }));

  test('shows no note and generic examples for other catalogs than the starter set', () =>
    site.visit(
      '/',
      {
        prepare: async (page) => {
          await page.route('**/health', (route) => route.fulfill({ json: { starter_set: false } }));
        },
      },
      async (page) => {
        await page.getByRole('link', { name: 'a face in black and white' }).waitFor();
        await page.getByText(`of ${String(starterIds().length)} albums`).waitFor();
        assert.ok(await page.getByText('Starter set').isHidden());
        assert.equal(await page.getByRole('link', { name: 'blue waves' }).count(), 0);
      },
    ));

  test('the empty page works even if every request fails', () =>
    site.visit(
      '/',
      {
        mayLog: /Failed to load resource/,
        prepare: async (page) => {
          await page.route(/\/(health|api\/.*)$/, (route) =>
            route.fulfill({ status: 500, body: '' }),
          );
        },
      },
      async (page) => {
        await page.locator('#crate').waitFor({ state: 'hidden' });
        await page.locator('#words').fill('still here');
        assert.ok(await page.getByRole('button', { name: 'Choose a picture' }).isEnabled());
      },
    ));

  test('a note says that the starter set is in use, and what that means', () =>
    site.visit('/?query=blue', {}, async (page) => {
      const note = page.getByRole('complementary', { name: 'Starter set' });
      await note.getByText('made-up covers, for trying things out').waitFor();
      await note.getByRole('button').click();
      await page.getByText('To search real albums, put your own files').waitFor();
      await page.keyboard.press('Escape');
      await page
        .getByText('To search real albums, put your own files')
        .waitFor({ state: 'hidden' });
    }));
});
