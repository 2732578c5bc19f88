/**
 * Draws synthetic covers and writes their metadata:
 *
 *     npx tsx tools/starter-set/draw.ts [FOLDER] [--count 240] [--seed N]
 *
 * Without arguments it recreates the starter set in `models/starter/catalog/`.
 */
import { parseArgs } from 'node:util';
import { drawCatalog } from './draw-catalog.ts';
import { starterAlbums, starterCount, starterSeed } from './starter-albums.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: String(starterCount) },
    seed: { type: 'string', default: String(starterSeed) },
  },
});
const [folder = 'models/starter/catalog'] = positionals;
const albums = starterAlbums({ seed: Number(values.seed), count: Number(values.count) });
await drawCatalog(folder, albums);
console.log(`${String(albums.length)} covers drawn in ${folder}`);
