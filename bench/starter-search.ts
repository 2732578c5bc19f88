import { join } from 'node:path';
import { loadConfig } from '../lib/config/config.ts';
import { createLogger } from '../lib/log.ts';
import { createServices } from '../lib/services.ts';
import { starterPaths } from '../lib/assets/local-assets.ts';
import { root } from './machine.ts';

const starterDir = join(root, 'models', 'starter');
const emptyModels = join(root, 'docs'); // a folder without any model file

/** Folder of the starter set's covers. */
export const { imagesDir } = starterPaths(starterDir);

/** A search of the starter set, regardless of the contents of `models/`. */
export const { search } = createServices(
  loadConfig({ STARTER_DIR: starterDir, MODELS_DIR: emptyModels }),
  createLogger('silent'),
);
