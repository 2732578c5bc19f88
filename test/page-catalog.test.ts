import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe as suite, test } from 'node:test';
import { browserSkip, Site } from './support/browser.ts';
import { cli } from './support/cli.ts';
import { results } from './support/page.ts';
import { starter } from './support/requests.ts';
import { smallCatalog } from './support/small-catalog.ts';

/** Fewer albums than the empty page's crate holds. */
const albums = 4;

suite("the page with the user's own files", { skip: browserSkip }, () => {
  let folder = '';
  const site = new Site(async () => {
    folder = await mkdtemp(join(tmpdir(), 'page-catalog-'));
    const { metadataPath, imagesDir } = await smallCatalog(folder, 20, albums);
    const models = join(folder, 'models');
    const files = ['--metadata', metadataPath, '--images', imagesDir];
    const built = await cli([
      ...['index', 'build', ...files, '--out', models, '--model', starter.clipDir],
    ]);
    assert.equal(built.status, 0, built.errors);
    for (const part of ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'onnx'])
      await cp(join(starter.clipDir, part), join(models, 'clip', part), { recursive: true });
    return { MODELS_DIR: models, IMAGES_DIR: imagesDir };
  });
  after(() => rm(folder, { recursive: true }));

  test('every example on the empty page finds albums, however few there are', () =>
    site.visit('/', {}, async (page) => {
      await page.getByText(`of ${String(albums)} albums`).waitFor();
      assert.ok(await page.getByText('Starter set').isHidden());
      const crate = page.getByRole('region', { name: 'A few covers' });
      const words = page.getByRole('list', { name: 'For example:' }).getByRole('link');
      await crate
        .locator('.cover.loaded')
        .nth(albums - 1)
        .waitFor();
      assert.equal(await crate.getByRole('link').count(), albums);
      assert.equal(await words.count(), 6);
      for (const [examples, found] of [
        [words, albums],
        [crate.getByRole('link'), albums - 1], // the album itself is left out
      ] as const)
        for (const example of await examples.all()) {
          await example.click();
          await results(page, found);
          await page
            .getByText(`That is all: ${String(found)} albums.`)
            .first()
            .waitFor();
          assert.ok(await page.getByRole('button', { name: 'Show more' }).isHidden());
          await page.goBack();
          await crate.waitFor();
        }
    }));
});
