import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { browserSkip, Site } from './support/browser.ts';
import {
  asFile,
  atQuery,
  byPicture,
  describe,
  eventually,
  pick,
  results,
  searchByStage,
  starterAlbum,
  type PageElement,
} from './support/page.ts';

const { id, cover, title, artist } = starterAlbum(17);
const field = (page: Page) =>
  page.getByRole('combobox', { name: 'Name or describe an album', exact: true });
const options = (page: Page) =>
  page.getByRole('listbox', { name: 'Albums with matching names' }).getByRole('option');
/** Ids of the albums listed by name. */
const named = (page: Page) =>
  page
    .locator('#name-grid .card-link')
    .evaluateAll((links: PageElement[]) =>
      links.map((link) =>
        Number(new URLSearchParams(link.getAttribute('href') ?? '').get('album')),
      ),
    );

suite('the page finds albums by name', { skip: browserSkip }, () => {
  const site = new Site();

  test('suggests albums with their covers while a name is typed, and opens the chosen one', () =>
    site.visit('/', {}, async (page) => {
      assert.equal(await field(page).getAttribute('aria-expanded'), 'false');
      await field(page).pressSequentially(artist.toLowerCase().slice(0, -1));
      await options(page).filter({ hasText: title }).first().waitFor();
      assert.equal(await field(page).getAttribute('aria-expanded'), 'true');
      await options(page).first().locator('.cover.loaded').waitFor();
      await options(page).filter({ hasText: title }).first().click();
      await page.getByRole('dialog', { name: 'Album' }).getByText(artist).waitFor();
      await atQuery(page, `?album=${String(id)}`);
      assert.equal(await options(page).count(), 0);
    }));

  test('the arrow keys move through the suggestions, Enter chooses, Escape closes', () =>
    site.visit('/', {}, async (page) => {
      const active = () => field(page).getAttribute('aria-activedescendant');
      await field(page).pressSequentially(title.slice(0, -1));
      await options(page).first().waitFor();
      assert.equal(await active(), null);
      await page.keyboard.press('ArrowDown');
      assert.equal(await active(), await options(page).first().getAttribute('id'));
      assert.equal(await options(page).first().getAttribute('aria-selected'), 'true');
      await page.keyboard.press('ArrowUp');
      assert.equal(await active(), null);
      await page.keyboard.press('ArrowUp');
      assert.equal(await active(), await options(page).last().getAttribute('id'));
      await page.keyboard.press('Escape');
      await options(page).first().waitFor({ state: 'detached' });
      assert.equal(await field(page).inputValue(), title.slice(0, -1));

      await page.keyboard.type(title.slice(-1));
      await options(page).first().waitFor();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await atQuery(page, `?album=${String(id)}`);
    }));

  test('Enter without a chosen suggestion searches, and closes the list', () =>
    site.visit('/', {}, async (page) => {
      await field(page).pressSequentially('blue');
      await page.keyboard.press('Enter');
      await results(page);
      await atQuery(page, '?query=blue');
      assert.equal(await options(page).count(), 0);
    }));

  test('no suggestions are shown, and nothing is reported, if they fail', () =>
    site.visit(
      '/',
      {
        mayLog: /Failed to load resource/,
        prepare: async (page) => {
          await page.route('**/api/suggest?*', (route) => route.fulfill({ status: 500 }));
        },
      },
      async (page) => {
        const asked = page.waitForResponse(/suggest/);
        await field(page).pressSequentially('a');
        await asked;
        assert.equal(await options(page).count(), 0);
        assert.equal(await page.locator('#notice').textContent(), '');
      },
    ));

  test('a suggestion chosen for another text is not taken', () =>
    site.visit('/', {}, async (page) => {
      await field(page).pressSequentially(title.slice(0, -2));
      await options(page).first().waitFor();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.type('x');
      assert.equal(await field(page).getAttribute('aria-activedescendant'), null);
      await page.keyboard.press('Enter');
      await atQuery(page, /^\?query=/);
    }));

  test('covers are found even if names are not', () =>
    site.visit(
      `/?query=${encodeURIComponent(artist)}`,
      {
        mayLog: /Failed to load resource/,
        prepare: async (page) => {
          await page.route('**/api/albums?*', (route) => route.fulfill({ status: 503 }));
        },
      },
      async (page) => {
        await results(page);
        assert.ok(await page.locator('#names').isHidden());
        await page.getByRole('heading', { name: `Covers like “${artist}”` }).waitFor();
      },
    ));

  test('matching names and matching covers are two groups', () =>
    site.visit('/', {}, async (page) => {
      await describe(page, `${artist} ${title}`);
      await results(page);
      const group = page.getByRole('region', { name: 'Matching names' });
      await group.getByText(title).waitFor();
      assert.equal((await named(page))[0], id);
      await page.getByRole('heading', { name: 'Matching covers' }).waitFor();
      assert.equal(
        await page.locator('h1:visible').textContent(),
        `Albums for “${artist} ${title}”`,
      );
      assert.equal(await group.locator('meter').count(), 0, 'a name has no similarity');
    }));

  test('the choice of names or covers is kept in the link', () =>
    site.visit(`/?query=${encodeURIComponent(artist)}`, {}, async (page) => {
      await results(page);
      assert.ok(await page.getByRole('radio', { name: 'Names and covers' }).isChecked());
      await page.getByRole('radio', { name: 'Names', exact: true }).check();
      await atQuery(page, /&by=name$/);
      await eventually(async () => {
        assert.ok((await page.locator('#grid .card:not(.skeleton)').count()) < 24);
      });
      assert.ok(await page.locator('#names').isHidden());
      await page.getByRole('radio', { name: 'Covers', exact: true }).check();
      await atQuery(page, /&by=cover$/);
      await results(page);
      assert.equal(await page.locator('h1:visible').textContent(), `Covers like “${artist}”`);
      await page.reload();
      await results(page);
      assert.ok(await page.getByRole('radio', { name: 'Covers', exact: true }).isChecked());
      await describe(page, 'blue');
      await atQuery(page, '?query=blue&by=cover');
    }));

  test('words refine the albums similar to one', () =>
    site.visit(`/?similar_to=${String(id)}`, {}, async (page) => {
      await results(page);
      const words = page.getByRole('textbox', { name: 'More like this, but with …' });
      const asked = page.waitForRequest(/\/similar\?/);
      await words.fill('blue');
      await words.press('Enter');
      assert.equal(new URL((await asked).url()).searchParams.get('query'), 'blue');
      await results(page);
      await atQuery(page, `?similar_to=${String(id)}&with=blue`);
      await page.getByRole('heading', { name: `Covers like ${title} and “blue”` }).waitFor();
      await page.reload();
      await results(page);
      assert.equal(await words.inputValue(), 'blue');
      await words.fill('');
      await page.getByRole('button', { name: 'Refine' }).click();
      await atQuery(page, `?similar_to=${String(id)}`);
    }));

  test('words refine a search by picture, which keeps its picture', () =>
    site.visit('/', {}, async (page) => {
      await pick(page, asFile(cover));
      await searchByStage(page);
      await page.getByRole('heading', { name: byPicture }).waitFor();
      await results(page);
      const words = page.getByRole('textbox', { name: 'More like this, but with …' });
      const asked = page.waitForRequest(/search-by-image\?/);
      await words.fill('a red circle');
      await words.press('Enter');
      const request = await asked;
      assert.equal(new URL(request.url()).searchParams.get('query'), 'a red circle');
      await results(page);
      await atQuery(page, '?with=a+red+circle');
      await page.goBack();
      await results(page);
      await atQuery(page, '');
      assert.equal(await words.inputValue(), '');
    }));
});
