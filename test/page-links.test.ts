import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import { linkTo, noFilters, readLink, type Address } from '../web/address.ts';
import { browserSkip, Site } from './support/browser.ts';
import {
  atQuery,
  asFile,
  byPicture,
  cards,
  describe,
  eventually,
  pick,
  results,
  searchByStage,
  shownIds,
  starterAlbum,
} from './support/page.ts';

const { id, cover, title } = starterAlbum(17);

suite('links describe the view', () => {
  const bare: Address = { subject: { kind: 'nothing' }, filters: noFilters, album: null };
  const filters = {
    genres: ['Pop/R&B', 'Jazz'],
    yearMin: 1970,
    yearMax: 1999,
    scoreMin: 7.5,
    bestNewMusic: true,
  };
  const addresses: Record<string, Address> = {
    './': bare,
    '?query=d%C3%A9j%C3%A0+vu+%26+%F0%9F%98%80': {
      ...bare,
      subject: { kind: 'text', query: 'déjà vu & 😀' },
    },
    '?query=kid+a&by=name': { ...bare, subject: { kind: 'text', query: 'kid a', by: 'name' } },
    '?similar_to=4&with=blue': {
      ...bare,
      subject: { kind: 'similar', albumId: 4, words: 'blue' },
    },
    '?similar_to=0': { ...bare, subject: { kind: 'similar', albumId: 0 } },
    '?album=17': { ...bare, album: 17 },
    '?query=red&genre=Pop%2FR%26B&genre=Jazz&year_min=1970&year_max=1999&score_min=7.5&best_new_music=true&album=3':
      { subject: { kind: 'text', query: 'red' }, filters, album: 3 },
  };
  for (const [link, address] of Object.entries(addresses))
    test(`${link} is written and read`, () => {
      assert.equal(linkTo(address), link);
      assert.deepEqual(readLink(link === './' ? '' : link), address);
    });

  for (const link of [
    '?query=+',
    '?similar_to=abc',
    '?by=name',
    '?similar_to=-1',
    '?year_min=70&year_max=soon',
    '?score_min=11',
    '?score_min=lots',
    '?best_new_music=maybe',
    '?genre=',
    '?album=1.5',
    '?unknown=1',
  ])
    test(`${link} is ignored without an error`, () => {
      assert.deepEqual(readLink(link), bare);
    });

  test('swaps years in the wrong order', () => {
    const { yearMin, yearMax } = readLink('?year_min=1999&year_max=1970').filters;
    assert.deepEqual({ yearMin, yearMax }, { yearMin: 1970, yearMax: 1999 });
  });
});

suite('navigation by links', { skip: browserSkip }, () => {
  const site = new Site();

  test('a shared link opens the same view: words, filters, results', () =>
    site.visit('/', {}, async (page, context) => {
      await describe(page, 'a yellow star');
      await results(page);
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByRole('checkbox', { name: /^Rock/ }).check();
      await page.getByRole('button', { name: 'Filters (1)' }).waitFor();
      await page.locator('#grid[aria-busy="false"]').waitFor();
      await results(page);
      const ids = await shownIds(page);
      const other = await context.newPage();
      await other.goto(page.url());
      await results(other);
      assert.deepEqual(await shownIds(other), ids);
      assert.equal(await other.locator('#words').inputValue(), 'a yellow star');
      await other.getByRole('button', { name: 'Remove the filter Rock' }).waitFor();
    }));

  test('a link opens similar albums and the details of an album', () =>
    site.visit(`/?similar_to=${String(id)}&album=${String(id)}`, {}, async (page) => {
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.getByRole('heading', { name: title }).waitFor();
      await dialog.getByRole('button', { name: 'Close' }).click();
      await dialog.waitFor({ state: 'hidden' });
      await atQuery(page, `?similar_to=${String(id)}`);
      await page.getByRole('heading', { level: 1, name: `Covers like ${title}` }).waitFor();
      await results(page);
    }));

  test('back and forward go through searches, details and the empty page', () =>
    site.visit('/', {}, async (page) => {
      await describe(page, 'first');
      await results(page);
      const first = await shownIds(page);
      await cards(page)
        .nth(1)
        .getByRole('link', { name: /^More like/ })
        .click();
      await page.waitForURL('**/?similar_to=*');
      await results(page);
      const second = await shownIds(page);
      await cards(page).first().locator('.card-link').click();
      const dialog = page.getByRole('dialog', { name: 'Album' });
      await dialog.waitFor();

      await page.goBack();
      await dialog.waitFor({ state: 'hidden' });
      assert.deepEqual(await shownIds(page), second);
      await page.goBack();
      await page.getByRole('heading', { level: 1, name: 'Albums for “first”' }).waitFor();
      assert.deepEqual(await shownIds(page), first, 'at once, without a search');
      await page.goBack();
      await page.getByRole('heading', { name: 'Which record is this?' }).waitFor();
      assert.equal(await page.title(), 'Shazam Visual');
      await page.goForward();
      await page.getByRole('heading', { level: 1, name: 'Albums for “first”' }).waitFor();
      assert.equal(await page.locator('#words').inputValue(), 'first');
      await page.goForward();
      await page.goForward();
      await dialog.waitFor();
    }));

  test('going back restores the results of “Show more” without a new search', () =>
    site.visit('/?query=green', {}, async (page) => {
      await results(page);
      await page.getByRole('button', { name: 'Show more' }).click();
      await results(page, 48);
      await cards(page)
        .nth(40)
        .getByRole('link', { name: /^More like/ })
        .click();
      await page.waitForURL('**/?similar_to=*');
      await results(page);
      let searches = 0;
      page.on('request', (request) => {
        if (request.url().includes('/api/search-by-text')) searches += 1;
      });
      await page.goBack();
      await results(page, 48);
      assert.equal(searches, 0);
    }));

  test('a search by picture survives going back and a reload', () =>
    site.visit('/', {}, async (page) => {
      await pick(page, asFile(cover));
      await searchByStage(page);
      await results(page);
      const ids = await shownIds(page);
      assert.equal(ids[0], id);
      await describe(page, 'something else');
      await page.getByRole('heading', { level: 1, name: 'Covers like “something else”' }).waitFor();
      await results(page);
      await page.goBack();
      await page.getByRole('heading', { level: 1, name: byPicture }).waitFor();
      assert.deepEqual(await shownIds(page), ids);
      await page.reload();
      await page.getByRole('heading', { level: 1, name: byPicture }).waitFor();
      await results(page);
      assert.deepEqual(await shownIds(page), ids);
    }));

  test('filters and “Show more” work for pictures too', () =>
    site.visit('/', {}, async (page) => {
      await pick(page, asFile(cover));
      await searchByStage(page);
      await results(page);
      await page.getByRole('button', { name: 'Show more' }).click();
      await results(page, 48);
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByRole('checkbox', { name: 'Best New Music only' }).check();
      await page.getByRole('button', { name: 'Filters (1)' }).waitFor();
      await eventually(async () => {
        const found = page.locator('#grid .card:not(.skeleton)'); // filters do not apply to findings
        const marks = await found.locator('.sticker').count();
        assert.ok(marks > 0 && marks === (await found.count()));
      });
      await page.getByRole('heading', { level: 1, name: byPicture }).waitFor();
    }));

  test('results are real links that can be opened in a new tab', () =>
    site.visit('/?query=green', {}, async (page, context) => {
      await results(page);
      const [other] = await Promise.all([
        context.waitForEvent('page'),
        cards(page)
          .first()
          .getByRole('link', { name: /^More like/ })
          .click({ modifiers: ['Control'] }),
      ]);
      await results(other);
      await atQuery(other, /similar_to=\d+$/);
      assert.equal(new URL(page.url()).search, '?query=green', 'the page stays where it was');
    }));

  test('the name in the corner links to the empty page', () =>
    site.visit('/?query=green&genre=Rock', {}, async (page) => {
      await results(page);
      await page.getByRole('link', { name: 'Shazam Visual, home' }).click();
      await page.getByRole('heading', { name: 'Which record is this?' }).waitFor();
      await atQuery(page, '');
      assert.equal(await page.locator('#words').inputValue(), '');
    }));
});
