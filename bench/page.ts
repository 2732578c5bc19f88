// Load cost of the page: bytes transferred and the timings that Lighthouse uses. Each visit has a fresh browser
// profile; visits alternate between the two machines.
// usage: npx tsx bench/page.ts [--n 5]        (after npm run setup:dev; needs chromium)
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Browser, CDPSession } from 'playwright-core';
import { launchBrowser, screens } from '../test/support/browser.ts';
import { startServer } from '../test/support/server.ts';
import { machine, median, root } from './machine.ts';

const { values } = parseArgs({ options: { n: { type: 'string', default: '5' } } });

/** Lighthouse's phone: 4 times slower than this machine, on 1.6 Mbit/s with a round-trip time of 150 ms. */
const slowPhone = async (session: CDPSession) => {
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 150,
    downloadThroughput: 1_600_000 / 8,
    uploadThroughput: 750_000 / 8,
  });
  await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
};

const visitors = {
  'desktop, localhost': { screen: screens.desktop, slow: false },
  'slow phone': { screen: screens.phone, slow: true },
} as const;

interface Visit {
  'first contentful paint, ms': number;
  'largest contentful paint, ms': number;
  'usable, ms': number;
  'blocking time, ms': number;
  'layout shift': number;
  requests: number;
  'transferred before use, KB': number;
  'transferred in all, KB': number;
}

/** Runs before the page's own scripts and records its timings. */
const observe = `
  globalThis.seen = { paint: 0, largest: 0, blocking: 0, shift: 0 };
  const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  watch('paint', (entry) => { if (entry.name === 'first-contentful-paint') seen.paint = entry.startTime; });
  watch('largest-contentful-paint', (entry) => { seen.largest = entry.startTime; });
  watch('longtask', (entry) => { seen.blocking += Math.max(0, entry.duration - 50); });
  watch('layout-shift', (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value; });
`;

const collect = `(() => {
  const usable = performance.getEntriesByName('usable')[0].startTime;
  const loads = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  const kilobytes = (list) => list.reduce((sum, entry) => sum + entry.transferSize, 0) / 1000;
  return {
    'first contentful paint, ms': seen.paint,
    'largest contentful paint, ms': seen.largest,
    'usable, ms': usable,
    'blocking time, ms': seen.blocking,
    'layout shift': seen.shift,
    requests: loads.length,
    'transferred before use, KB': kilobytes(loads.filter((entry) => entry.responseEnd <= usable)),
    'transferred in all, KB': kilobytes(loads),
  };
})()`;

async function visit(browser: Browser, url: string, name: keyof typeof visitors): Promise<Visit> {
  const { screen, slow } = visitors[name];
  const context = await browser.newContext({ locale: 'en-US', ...screen });
  const page = await context.newPage();
  if (slow) await slowPhone(await context.newCDPSession(page));
  await page.addInitScript(observe);
  await page.goto(url);
  await page.waitForLoadState('networkidle');
  const seen = await page.evaluate<Visit>(collect);
  await context.close();
  return seen;
}

console.log(machine());
const assets = join(root, 'dist', 'web', 'assets');
for (const file of readdirSync(assets).filter((one) => /\.(js|css)$/.test(one))) {
  const bytes = readFileSync(join(assets, file));
  const [gzip, brotli] = [gzipSync(bytes, { level: 9 }), brotliCompressSync(bytes)];
  console.log(
    `${file}: ${String(bytes.length)} bytes, ${String(gzip.length)} with gzip, ${String(brotli.length)} with Brotli`,
  );
}

const [server, browser] = await Promise.all([startServer(), launchBrowser()]);
const names = Object.keys(visitors) as (keyof typeof visitors)[];
const visits = new Map(names.map((name) => [name, [] as Visit[]]));
for (let round = 0; round < Number(values.n); round += 1)
  for (const name of names) visits.get(name)?.push(await visit(browser, server.url, name));
for (const [name, list] of visits) {
  console.log(`\n${name}: the first view, empty cache`);
  for (const key of Object.keys(list[0] ?? {}) as (keyof Visit)[]) {
    const figures = list.map((one) => one[key]);
    const digits = key === 'layout shift' ? 3 : 0;
    const raw = figures.map((one) => one.toFixed(digits)).join(' ');
    console.log(`  ${key}: ${median(figures).toFixed(digits)} (${raw})`);
  }
}
await browser.close();
await server.stop();
