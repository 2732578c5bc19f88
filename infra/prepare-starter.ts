import { stat } from 'node:fs/promises';
import { Catalog } from '../lib/catalog/catalog.ts';
import { createImageEncoder } from '../lib/clip/image-encoder.ts';
import { loadConfig } from '../lib/config.ts';
import { renderSvgToJpeg } from '../lib/imaging/raster.ts';
import { buildIndex } from '../lib/indexing/build-index.ts';
import { prepareStarter } from '../lib/starter/prepare.ts';
import { starterAssets } from '../lib/storage/assets.ts';

/** Draws the starter set's covers and indexes them; what is drawn already is kept. */
async function main(): Promise<void> {
  const { starterDir } = loadConfig().assets;
  const assets = starterAssets(starterDir);
  const drawing = progress('drawing covers');
  for await (const { done, total } of prepareStarter({ starterDir, renderCover: renderSvgToJpeg }))
    drawing(done, total);
  const embedding = progress('embedding covers');
  const events = buildIndex({
    catalog: await Catalog.open(assets.metadataPath),
    imagesDir: assets.imagesDir,
    encoder: await createImageEncoder({ modelDir: assets.clipDir }),
    indexPath: assets.indexPath,
  });
  for await (const { done, total } of events) embedding(done, total);
  await stat(assets.indexPath);
}

/** A line that is drawn over itself on a terminal; elsewhere one line a quarter of the way. */
const progress = (what: string) => {
  let told = 0;
  return (done: number, total: number) => {
    if (process.stdout.isTTY)
      process.stdout.write(
        `\r  ${what}: ${String(done)} of ${String(total)}${done === total ? '\n' : ''}`,
      );
    else if (Math.floor((4 * done) / total) > told) {
      told = Math.floor((4 * done) / total);
      console.log(`  ${what}: ${String(done)} of ${String(total)}`);
    }
  };
};

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
