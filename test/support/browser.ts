import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before } from 'node:test';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import { startServer, type ServerProcess } from './server.ts';

const program = spawnSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).stdout.trim();

/** Why tests of the page are skipped, or `false` if Chromium is installed. */
export const browserSkip: string | false = program
  ? false
  : 'Chromium is not installed (Debian: chromium), so there is no browser to test the page in';

/** No background network traffic; a fake camera, without a permission prompt. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

/** Timeout in milliseconds, longer than a busy machine needs: only ends tests that hang. */
export const patienceMs = 180_000;

/** @param moreFlags extra Chromium flags, e.g. the video for the fake camera */
export const launchBrowser = (moreFlags: readonly string[] = []): Promise<Browser> =>
  chromium.launch({
    executablePath: program,
    args: [...flags, ...moreFlags],
    timeout: patienceMs,
  });

/** The screens on which the page is tested, in CSS pixels. */
export const screens = {
  phone: {
    viewport: { width: 360, height: 740 },
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 2,
  },
  tablet: { viewport: { width: 768, height: 1024 } },
  desktop: { viewport: { width: 1280, height: 860 } },
  wide: { viewport: { width: 1600, height: 950 } },
} as const satisfies Record<string, BrowserContextOptions>;

export interface VisitOptions {
  /** Default: an English desktop browser. */
  browser?: BrowserContextOptions;
  /** URL of the page; default: the server. */
  url?: string;
  /** Origins that the page may request besides its own; default: none. */
  origins?: readonly string[];
  /** Console errors that the test causes, e.g. the browser's message about a 503 status. */
  mayLog?: RegExp;
  /** Called before the page is opened, e.g. to stub a response. */
  prepare?: (page: Page, context: BrowserContext) => Promise<void>;
}

/** The real server and a browser, for the tests of one file. */
export class Site {
  #server: ServerProcess | undefined;
  #browser: Browser | undefined;

  /**
   * Starts both before the tests of the suite, and stops both after them.
   *
   * @param makeSettings returns the server's settings, after any preparation
   * @param makeFlags returns the browser's flags, likewise
   */
  constructor(
    makeSettings: () => Promise<Record<string, string>> = () => Promise.resolve({}),
    makeFlags: () => Promise<string[]> = () => Promise.resolve([]),
  ) {
    before(async () => {
      const [settings, moreFlags] = await Promise.all([makeSettings(), makeFlags()]);
      [this.#server, this.#browser] = await Promise.all([
        startServer(settings),
        launchBrowser(moreFlags),
      ]);
    });
    after(async () => {
      await this.#browser?.close();
      await this.#server?.stop();
    });
  }

  get url(): string {
    assert.ok(this.#server);
    return this.#server.url;
  }

  /**
   * Opens the page in a fresh browser context and calls `act`. Fails if the page logs an error, which includes
   * violations of its security policy, or requests another origin.
   *
   * @param path path and query, e.g. `/?query=red`
   */
  async visit(
    path: string,
    options: VisitOptions,
    act: (page: Page, context: BrowserContext) => Promise<void>,
  ): Promise<void> {
    assert.ok(this.#browser);
    const { url = this.url, origins = [], mayLog, prepare } = options;
    const context = await this.#browser.newContext({
      locale: 'en-US',
      ...screens.desktop,
      ...options.browser,
    });
    context.setDefaultTimeout(patienceMs);
    try {
      const page = await context.newPage();
      const complaints = watch(page, [new URL(url).origin, ...origins], mayLog);
      await prepare?.(page, context);
      await page.goto(url + path);
      await act(page, context);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  }
}

/** @returns a live list of the page's errors, warnings and requests to other origins */
function watch(page: Page, origins: readonly string[], mayLog: RegExp | undefined): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    const text = message.text();
    const bad = message.type() === 'error' || message.type() === 'warning';
    if (bad && mayLog?.test(text) !== true) complaints.push(`it logged: ${text}`);
  });
  page.on('pageerror', (error) => complaints.push(`it threw: ${error.stack ?? error.message}`));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== 'blob:' && protocol !== 'data:' && !origins.includes(origin))
      complaints.push(`it asked ${request.url()}`);
  });
  return complaints;
}
