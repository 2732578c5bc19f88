import { spawn, spawnSync } from 'node:child_process';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { coverName } from '../../lib/assets/covers.ts';
import { processorSeconds } from '../process.ts';

export interface BuildOptions {
  /** The folder whose built command line is run. */
  checkout: string;
  modelDir: string;
  dtype: string;
  /** Files that are used as covers, cyclically. */
  pictures: readonly string[];
  covers: number;
  /** Temporary folder for the metadata, the covers and the index. */
  folder: string;
}

/**
 * Covers per second and CPU seconds per cover of `index build`, between its first and last progress event, which
 * excludes start-up and the writing of the files.
 */
export async function measureBuild(options: BuildOptions) {
  const { checkout, modelDir, dtype, pictures, covers, folder } = options;
  const imagesDir = join(folder, 'images');
  const metadata = join(folder, 'albums.json');
  await mkdir(imagesDir, { recursive: true });
  for (let id = 0; id < covers; id += 1)
    await symlink(pictures[id % pictures.length] ?? '', join(imagesDir, coverName(id)));
  await writeFile(
    metadata,
    JSON.stringify(Array.from({ length: covers }, (_, id) => ({ local_id: id, artist: 'x' }))),
  );
  const program = resolve(checkout, 'dist', 'cli', 'shazam-visual.cjs');
  const help = spawnSync(process.execPath, [program, 'index', 'build', '--help'], {
    encoding: 'utf8',
  });
  const child = spawn(
    process.execPath,
    [
      program,
      ...['index', 'build', '--images', imagesDir, '--metadata', metadata],
      ...['--out', join(folder, 'out'), '--model', modelDir, '--dtype', dtype, '--json'],
      // Servers are measured without identification. Older checkouts have no features and no such option.
      ...(help.stdout.includes('--no-features') ? ['--no-features'] : []),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  const marks: { done: number; at: number; cpu: number }[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const { type, done = 0 } = JSON.parse(line) as { type: string; done?: number };
    if (type === 'progress' && done > 0)
      marks.push({ done, at: performance.now(), cpu: processorSeconds(child.pid ?? NaN) });
  }
  const status = await ended;
  process.off('exit', kill);
  await rm(folder, { recursive: true });
  const [first, last] = [marks[0], marks.at(-1)];
  if (status !== 0 || first === undefined || last === undefined || last.done === first.done)
    throw new Error(`index build ended with ${String(status)} after ${String(last?.done)} covers`);
  const count = last.done - first.done;
  return {
    aSecond: (1000 * count) / (last.at - first.at),
    processorSeconds: (last.cpu - first.cpu) / count,
  };
}
