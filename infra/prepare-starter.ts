import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { loadConfig } from '../lib/config/config.ts';
import { buildIndex } from '../pipeline/indexing/build-index.ts';
import { starterPaths } from '../lib/assets/local-assets.ts';

/**
 * Indexes the starter set's covers, in a folder beside the one that is served, which it replaces when all of
 * it is there: whatever interrupts this leaves no half set.
 */
async function main(): Promise<void> {
  const { starterDir } = loadConfig().assets;
  const { indexPath, metadataPath, imagesDir, clipDir } = starterPaths(starterDir);
  const indexDir = dirname(indexPath);
  const unfinished = `${indexDir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const embedding = progress('embedding covers');
  const build = buildIndex({ metadataPath, imagesDir, modelDir: clipDir, outDir: unfinished });
  for await (const event of build) {
    if (event.type === 'embedded') embedding(event.done, event.total);
    if (event.type === 'skipped') throw new Error(`${event.file}: ${event.reason}`);
  }
  await rm(indexDir, { recursive: true, force: true });
  await rename(unfinished, indexDir);
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
