import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { after, before, describe as suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { en } from '../web/language/en.ts';
import { fr } from '../web/language/fr.ts';
import { browserSkip, screens, Site } from './support/browser.ts';
import {
  asFile,
  byPicture,
  cards,
  describe,
  pick,
  results,
  searchByStage,
  shownIds,
  starterAlbum,
} from './support/page.ts';
import { root } from './support/requests.ts';
import { cleanEnvironment, startServer } from './support/server.ts';

const { id, cover } = starterAlbum(17);
const built = join(root, 'dist', 'web');

/** Limit for script and style sheet together, gzipped, in bytes. */
const budget = 60 * 1024;

suite('the page is small and complete', () => {
  test('script and style sheet take at most 60 KB compressed', (context) => {
    const sizes = readdirSync(join(built, 'assets'))
      .filter((name) => /\.(js|css)$/.test(name))
      .map((name) => gzipSync(readFileSync(join(built, 'assets', name)), { level: 9 }).length);
    assert.equal(sizes.length, 2);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    context.diagnostic(`${sizes.map((size) => (size / 1024).toFixed(1)).join(' + ')} KB with gzip`);
    assert.ok(total <= budget, `${String(total)} bytes`);
  });

  test('index.html names only texts that both languages have', () => {
    const html = readFileSync(join(root, 'web', 'index.html'), 'utf8');
    const names = [...html.matchAll(/data-words(?:-\w+)?="([\w.]+)"/g)].map(
      ([, name = '']) => name,
    );
    assert.ok(names.length > 30);
    for (const [language, words] of Object.entries({ en, fr }))
      for (const name of names) {
        let found: unknown = words;
        for (const key of name.split('.'))
          found = (found as Record<string, unknown> | undefined)?.[key];
        assert.equal(typeof found, 'string', `${name} in ${language}`);
        assert.notEqual(found, '', `${name} in ${language}`);
      }
  });

  test('index.html defines exactly the icons that are used', () => {
    const html = readFileSync(join(root, 'web', 'index.html'), 'utf8');
    const drawn = new Set([...html.matchAll(/<symbol id="icon-(\w+)"/g)].map(([, name]) => name));
    const sources = readdirSync(join(root, 'web'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|html)$/.test(name))
      .map((name) => readFileSync(join(root, 'web', name), 'utf8'))
      .join('\n');
    const used = [...sources.matchAll(/(?:\bicon\('|#icon-)(\w+)/g)].map(([, name]) => name);
    for (const name of used) assert.ok(drawn.has(name), name);
    for (const name of drawn) assert.ok(used.includes(name), `${String(name)} is used nowhere`);
  });
});

suite('the served page', { skip: browserSkip }, () => {
  const site = new Site();

  test('the first view marks when it is painted and usable, for bench/page.ts', () =>
    site.visit('/', {}, async (page) => {
      await page.locator('#words').fill('ready');
      const mark = `performance.getEntriesByName('usable')[0].startTime`;
      assert.ok((await page.evaluate<number>(mark)) > 0);
      const paint = `new Promise((resolve) => new PerformanceObserver((list) => { const [entry] = list.getEntriesByName('first-contentful-paint'); if (entry) resolve(entry.startTime); }).observe({ type: 'paint', buffered: true }))`;
      assert.ok((await page.evaluate<number>(paint)) > 0);
    }));

  for (const [screen, path] of [
    ['desktop', '/'],
    ['phone', '/'],
    ['desktop', '/?query=blue'],
    ['phone', `/?similar_to=${String(id)}`],
  ] as const)
    test(`nothing moves while ${path} loads (${screen})`, () =>
      site.visit(path, { browser: screens[screen] }, async (page) => {
        const last =
          path === '/'
            ? page.locator('.crate-cover .cover.loaded').last()
            : cards(page).first().locator('.cover.loaded');
        await last.waitFor();
        await page.locator('#starter-note').waitFor();
        const shift = await page.evaluate<number>(
          `new Promise((resolve) => { let sum = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; }).observe({ type: 'layout-shift', buffered: true }); requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum))); })`,
        );
        assert.ok(shift < 0.02, `a cumulative layout shift of ${String(shift)}`);
      }));

  test('enforces its Content-Security-Policy', () =>
    site.visit('/', { mayLog: /Content Security Policy|Trusted|violates/ }, async (page) => {
      const outcome = await page.evaluate<Record<string, unknown>>(
        `(async () => {
          const tryTo = (act) => { try { act(); return 'done'; } catch (error) { return error.name; } };
          const element = document.createElement('div');
          document.body.append(element);
          const markup = tryTo(() => { element.innerHTML = '<b>x</b>'; });
          tryTo(() => { const script = document.createElement('script'); script.textContent = 'globalThis.ran = true'; document.head.append(script); });
          tryTo(() => { element.setAttribute('onclick', 'globalThis.ran = true'); element.click(); });
          tryTo(() => { setTimeout('globalThis.ran = true', 0); });
          element.setAttribute('style', 'outline: 7px solid red');
          const styled = getComputedStyle(element).outlineStyle;
          const fetched = await fetch('https://elsewhere.example/').then(() => 'done', () => 'refused');
          await new Promise((resolve) => setTimeout(resolve, 0));
          return { ran: globalThis.ran ?? false, markup, styled, fetched };
        })()`,
      );
      assert.deepEqual(outcome, {
        ran: false,
        markup: 'TypeError',
        styled: 'none',
        fetched: 'refused',
      });
    }));

  test('a second visit gets 304 for the page and takes all assets from the cache', () =>
    site.visit('/', {}, async (page) => {
      await page.locator('.crate-cover').first().waitFor();
      const tag = (await fetch(site.url, { headers: { accept: 'text/html' } })).headers.get('etag');
      const again = await fetch(site.url, {
        headers: { accept: 'text/html', 'if-none-match': tag ?? '', 'cache-control': 'max-age=0' },
      });
      assert.equal(again.status, 304);
      await page.goto(`${site.url}/?query=blue`); // not a reload, which would request everything again
      await results(page);
      const transferred = await page.evaluate<number[]>(
        `performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/')).map(({ transferSize }) => transferSize)`,
      );
      assert.ok(transferred.length >= 2);
      assert.deepEqual(new Set(transferred), new Set([0]), 'all of them from the cache');
    }));

  test('serves JSON to programs at the same address', async () => {
    for (const accept of ['application/json', '*/*', 'application/json, text/html;q=0.5']) {
      const response = await fetch(site.url, { headers: { accept } });
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      assert.match(response.headers.get('vary') ?? '', /Accept/);
    }
  });

  test('the API documentation is one click away, at /docs', () =>
    site.visit('/', {}, async (page) => {
      await page.getByRole('link', { name: 'The API: documentation' }).click();
      await page.waitForURL('**/docs');
      await page.getByText('/api/search-by-image').first().waitFor();
    }));
});

suite('the page hosted elsewhere', { skip: browserSkip }, () => {
  const site = new Site();
  const host = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = pathname.startsWith('/covers/') ? pathname.slice('/covers/'.length) : '';
    const name = path === '' ? 'index.html' : path;
    try {
      const body = readFileSync(join(built, name), 'utf8').replace(
        'name="api-base" content=""',
        `name="api-base" content="${site.url}"`,
      );
      const types: Record<string, string> = {
        '.html': 'text/html',
        '.js': 'text/javascript',
        '.css': 'text/css',
        '.svg': 'image/svg+xml',
      };
      response.writeHead(200, {
        'content-type': types[extname(name)],
        // as docs/page.md says
        'content-security-policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: ${site.url}; connect-src ${site.url}; base-uri 'none'; require-trusted-types-for 'script'`,
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  let url: string;
  before(async () => {
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${String((host.address() as AddressInfo).port)}`;
  });
  after(() => {
    host.close();
    host.closeAllConnections();
  });

  test('uses the configured API for words, pictures, covers and filters', () =>
    site.visit('/covers/', { url, origins: [site.url] }, async (page) => {
      await page.locator('.crate-cover .cover.loaded').first().waitFor();
      await page.getByText('Starter set').first().waitFor();
      await describe(page, 'a red circle');
      await results(page);
      assert.equal(page.url(), `${url}/covers/?query=a+red+circle`);
      await cards(page).first().locator('.cover.loaded').waitFor();
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByRole('checkbox', { name: /^Rock/ }).check();
      await page.getByRole('button', { name: 'Filters (1)' }).waitFor();
      await page.getByRole('button', { name: 'Remove the filter Rock' }).click();
      await pick(page, asFile(cover));
      await searchByStage(page);
      await page.getByRole('heading', { level: 1, name: byPicture }).waitFor();
      await results(page);
      assert.equal((await shownIds(page))[0], id);
      const docs = page.getByRole('link', { name: 'The API: documentation' });
      assert.equal(await docs.getAttribute('href'), `${site.url}/docs`);
    }));

  test('reads Retry-After across origins', () =>
    site.visit(
      '/covers/',
      { url, origins: [site.url], mayLog: /Failed to load resource/ },
      async (page) => {
        await page.route('**/api/search-by-text?*k=24*', (route) =>
          route.fulfill({
            status: 503,
            headers: {
              'content-type': 'application/problem+json',
              'access-control-allow-origin': '*',
              'access-control-expose-headers': 'X-Request-Id, Retry-After',
              'retry-after': '3600', // too long to pass before the check, even on a busy machine
            },
            body: JSON.stringify({ code: 'starting', detail: 'Still loading.' }),
          }),
        );
        await describe(page, 'blue');
        await page.getByRole('button', { name: /Try again in \d{3,} s/ }).waitFor();
      },
    ));
});

test('redirects browsers to the documentation if the page is not built', async () => {
  const { remove } = cleanEnvironment();
  const server = await startServer({ WEB_DIR: join(root, 'models') }, 'listening');
  try {
    const response = await fetch(server.url, {
      headers: { accept: 'text/html' },
      redirect: 'manual',
    });
    assert.equal(response.status, 302);
    assert.equal(response.headers.get('location'), '/docs');
  } finally {
    await server.stop();
    remove();
  }
});
