import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../lib/config/config.ts';
import { replaceFile } from '../lib/filesystem/files.ts';
import { addFeatures, type AddFeaturesEvent } from '../pipeline/indexing/add-features.ts';
import { buildIndex, type BuildEvent } from '../pipeline/indexing/build-index.ts';
import {
  addToIndex,
  removeFromIndex,
  type ChangeEvent,
} from '../pipeline/indexing/change-index.ts';
import type { Skipped } from '../pipeline/indexing/journal.ts';
import type { Shard } from '../lib/assets/manifest.ts';
import { mergeShards } from '../pipeline/indexing/merge-shards.ts';
import { isLanceUri, lanceLocation } from '../lib/lance/lance-location.ts';
import { addToTable, buildTable, type TableBuildEvent } from '../pipeline/lance/build-table.ts';
import { removeFromTable } from '../pipeline/lance/change-table.ts';
import { importSet } from '../pipeline/lance/import-set.ts';
import { modelFolder, withModel, type ModelOptions } from './model-option.ts';
import { bytesText, counted, type Output } from './output.ts';
import { runTask, wholeNumber, withJson } from './run.ts';

/** `index build`, `add`, `remove`, `merge`, `features` and `import`. */
export function indexCommand(config: Config): Command {
  return new Command('index')
    .description('build and change the index of the covers')
    .addCommand(buildCommand(config))
    .addCommand(addCommand(config))
    .addCommand(removeCommand(config))
    .addCommand(mergeCommand())
    .addCommand(featuresCommand())
    .addCommand(importCommand(config));
}

const typeOption = [
  '--type <factory>',
  'auto, by the number of albums, or a FAISS factory string: Flat (exact), SQ8, HNSW32 … (default: auto)',
] as const;
const probesOption = [
  '--probes <n>',
  'cells of an IVF index that each search visits (default: as many as find 99 % of the ten nearest)',
] as const;
const imagesOption = [
  '--images <dir>',
  "folder of the covers, named by the metadata's filename or album_{local_id}.jpg",
] as const;
const allowMissingOption = [
  '--allow-missing',
  'continue even if more than half of the covers are missing',
] as const;
const indexOption = [
  '--index <dir>',
  'folder of the set to change, or the URI of a LanceDB table',
] as const;
/** @returns the option and its default */
const workOption = ({ s3 }: Config) =>
  [
    '--work <dir>',
    'for a table: local folder of the embeddings until they are written to it',
    join(s3.cacheDir, 'table-build'),
  ] as const;
const restartOption = () =>
  new Option('--restart', 'discard the work of an interrupted run').conflicts('resume');

interface BuildFlags extends ModelOptions {
  images: string;
  metadata: string;
  out: string;
  work: string;
  type?: string;
  probes?: number;
  shard?: Shard;
  resume?: boolean;
  restart?: boolean;
  allowMissing?: boolean;
  features?: boolean;
  json?: boolean;
}

const buildCommand = (config: Config): Command =>
  withModel(
    withJson(
      new Command('build')
        .description('embed every cover and write index, metadata, features and manifest')
        .requiredOption(...imagesOption)
        .requiredOption('--metadata <file>', 'album metadata, as pandas writes it')
        .requiredOption('--out <dir>', 'output folder, or the URI of a LanceDB table')
        .option(...workOption(config))
        .option(...typeOption)
        .option(probesOption[0], probesOption[1], wholeNumber(1))
        .option('--shard <i/n>', 'embed only this part, e.g. 3/16, for index merge', parseShard)
        .option('--no-features', 'write no features: albums will not be recognised in photos')
        .option(...allowMissingOption)
        .option('--resume', 'continue an interrupted run')
        .addOption(restartOption()),
    ),
  ).action((flags: BuildFlags) =>
    runTask(flags, async ({ output, signal }) => {
      const modelDir = await modelFolder(flags, config, output);
      const { images, metadata, out, work, ...rest } = flags;
      const options = { ...rest, metadataPath: metadata, imagesDir: images, modelDir, signal };
      const skipped: Skipped[] = [];
      const isTable = isLanceUri(out);
      const building = isTable
        ? buildTable({ ...options, workDir: work, location: lanceLocation(out, config.s3) })
        : buildIndex({ ...options, outDir: out });
      for await (const event of building) {
        if (event.type === 'skipped') skipped.push(event);
        show(event, output);
      }
      if (!isTable) await reportSkipped(out, skipped, output);
      return undefined;
    }),
  );

function parseShard(text: string): Shard {
  const [, number = '', of = ''] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { number: Number(number), of: Number(of) };
  if (number !== '' && shard.number >= 1 && shard.number <= shard.of) return shard;
  throw new InvalidArgumentError('Expected a shard like 3/16.');
}

interface AddFlags extends ModelOptions {
  images: string;
  metadata: string;
  index: string;
  work: string;
  resume?: boolean;
  restart?: boolean;
  allowMissing?: boolean;
  json?: boolean;
}

const addCommand = (config: Config): Command =>
  withModel(
    withJson(
      new Command('add')
        .description('add albums without embedding the others again')
        .requiredOption(...imagesOption)
        .requiredOption(
          '--metadata <file>',
          'album metadata; albums already in the index are skipped',
        )
        .requiredOption(...indexOption)
        .option(...workOption(config))
        .option(...allowMissingOption)
        .option('--resume', 'continue an interrupted run')
        .addOption(restartOption()),
    ),
  ).action((flags: AddFlags) =>
    runTask(flags, async ({ output, signal }) => {
      const modelDir = await modelFolder(flags, config, output);
      const skipped: Skipped[] = [];
      const { index, work, metadata, images, resume = false, restart = false } = flags;
      const options = {
        ...{ metadataPath: metadata, imagesDir: images, modelDir, resume, restart, signal },
        allowMissing: flags.allowMissing,
      };
      const isTable = isLanceUri(index);
      const adding = isTable
        ? addToTable({ ...options, workDir: work, location: lanceLocation(index, config.s3) })
        : addToIndex({ ...options, dir: index });
      for await (const event of adding) {
        if (event.type === 'skipped') skipped.push(event);
        show(event, output);
      }
      if (!isTable) await reportSkipped(index, skipped, output);
      return undefined;
    }),
  );

interface RemoveFlags {
  index: string;
  ids?: number[];
  idsFile?: string;
  json?: boolean;
}

const removeCommand = (config: Config): Command =>
  withJson(
    new Command('remove')
      .description('remove albums')
      .requiredOption(...indexOption)
      .option('--ids <ids>', 'ids, separated by commas', parseIds)
      .option('--ids-file <file>', 'ids, one per line'),
  ).action((flags: RemoveFlags, command: Command) => {
    if (flags.ids === undefined && flags.idsFile === undefined)
      command.error('error: expected --ids or --ids-file');
    return runTask(flags, async ({ output }) => {
      const listed = flags.idsFile === undefined ? '' : await readFile(flags.idsFile, 'utf8');
      const ids = [...(flags.ids ?? []), ...parseIds(listed)];
      const removing = isLanceUri(flags.index)
        ? removeFromTable(lanceLocation(flags.index, config.s3), ids)
        : removeFromIndex(flags.index, ids);
      for await (const event of removing) show(event, output);
      return undefined;
    });
  });

const parseIds = (text: string): number[] =>
  text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((word) => {
      if (!/^\d+$/.test(word))
        throw new InvalidArgumentError(`Expected ids like 12,307 but received "${word}".`);
      return Number(word);
    });

interface MergeFlags {
  out: string;
  type?: string;
  probes?: number;
  json?: boolean;
}

const mergeCommand = (): Command =>
  withJson(
    new Command('merge')
      .description('merge the parts written by index build --shard')
      .argument('<dirs...>', 'folders of the parts, in any order')
      .requiredOption('--out <dir>', 'output folder')
      .option(...typeOption)
      .option(probesOption[0], probesOption[1], wholeNumber(1)),
  ).action((parts: string[], { out, ...flags }: MergeFlags) =>
    runTask(flags, async ({ output }) => {
      for await (const event of mergeShards({ ...flags, parts, outDir: out })) show(event, output);
      return undefined;
    }),
  );

const featuresCommand = (): Command =>
  withJson(
    new Command('features')
      .description('create the features for recognising albums in photos, for a set without them')
      .requiredOption(...imagesOption)
      .requiredOption('--index <dir>', 'folder of the set'),
  ).action((flags: { images: string; index: string; json?: boolean }) =>
    runTask(flags, async ({ output, signal }) => {
      for await (const event of addFeatures(flags.index, flags.images, signal)) show(event, output);
      return undefined;
    }),
  );

interface ImportFlags {
  out: string;
  resume?: boolean;
  restart?: boolean;
  json?: boolean;
}

const importCommand = (config: Config): Command =>
  withJson(
    new Command('import')
      .description('write an existing set to a LanceDB table (docs/lance.md)')
      .argument('<dir>', 'folder of the set')
      .requiredOption('--out <uri>', 'lance:///folder or lance+s3://bucket/prefix', parseLanceUri)
      .option('--resume', 'continue an interrupted import')
      .addOption(restartOption()),
  ).action((dir: string, { out, resume, restart, json }: ImportFlags) =>
    runTask({ ...(json !== undefined && { json }) }, async ({ output, signal }) => {
      const location = lanceLocation(out, config.s3);
      for await (const event of importSet({ dir, location, resume, restart, signal }))
        show(event, output);
      return undefined;
    }),
  );

function parseLanceUri(text: string): string {
  if (isLanceUri(text)) return text;
  throw new InvalidArgumentError('Expected lance:///folder or lance+s3://bucket/prefix.');
}

function show(
  event: BuildEvent | ChangeEvent | AddFeaturesEvent | TableBuildEvent,
  output: Output,
): void {
  switch (event.type) {
    case 'resumed':
      output.result(
        event,
        `resuming after ${event.done.toLocaleString('en')} of ${counted(event.total, 'cover')}`,
      );
      break;
    case 'embedded':
      output.progress('embedding covers', event.done, event.total);
      break;
    case 'features':
      output.progress('extracting features', event.done, event.total);
      break;
    case 'no_features':
      output.note(
        event,
        'the recognition addon is not built, so no features are written: albums will not be recognised in photos',
      );
      break;
    case 'wrote_features':
      output.result(
        event,
        `features of ${counted(event.covers, 'cover')} in ${event.path}: ${bytesText(event.bytes)}`,
      );
      break;
    case 'skipped':
      output.note(event, `skipped ${event.file}: ${event.reason}`);
      break;
    case 'indexing':
      output.result(
        event,
        `building a ${event.indexType} index of ${counted(event.vectors, 'vector')}`,
      );
      break;
    case 'training':
      output.result(event, `training ${event.indexType} on ${counted(event.sample, 'vector')}`);
      break;
    case 'indexed':
      output.progress('indexing vectors', event.done, event.total);
      break;
    case 'measured': {
      const parameters = Object.entries(event.search ?? {}).map(
        ([name, value]) => `, ${name} ${value.toLocaleString('en')}`,
      );
      const recall =
        event.recallAt10 === null
          ? 'exact'
          : `recall@10 ${event.recallAt10.toFixed(3)} on ${counted(event.sample, 'sample')}, ${(event.milliseconds ?? 0).toPrecision(2)} ms a search${parameters.join('')}`;
      const share = (100 * event.bytes) / Math.max(1, event.flatBytes);
      output.result(
        event,
        `${event.indexType}: ${bytesText(event.bytes)} (${share.toFixed(0)} % of the plain vectors), ${recall}`,
      );
      break;
    }
    case 'added':
      output.result(
        event,
        `added ${counted(event.albums, 'album')}${event.present > 0 ? `; ${event.present.toLocaleString('en')} already present` : ''}`,
      );
      break;
    case 'removed':
      output.result(event, `removed ${counted(event.albums, 'album')}`);
      break;
    case 'wrote_albums':
      output.progress('writing albums', event.done, event.total);
      break;
    case 'lance_step':
      output.result(event, event.step);
      break;
    case 'served':
      output.result(
        event,
        `${counted(event.albums, 'album')} in ${event.place}, version ${String(event.version)}`,
      );
      break;
    case 'written':
      output.result(
        { type: 'written', out: event.outDir, manifest: event.manifest },
        `${counted(event.manifest.index.vectors, 'album')} in ${event.outDir}`,
      );
  }
}

/** Writes a report of the covers without a vector; deletes an old report if there are none. */
async function reportSkipped(
  dir: string,
  skipped: readonly Skipped[],
  output: Output,
): Promise<void> {
  const path = join(dir, 'skipped-covers.jsonl');
  if (skipped.length === 0) {
    await rm(path, { force: true });
    return;
  }
  const lines = skipped.map(({ albumId, file, reason }) =>
    JSON.stringify({ album_id: albumId, file, reason }),
  );
  await replaceFile(path, `${lines.join('\n')}\n`);
  output.note(
    { type: 'report', path, skipped: skipped.length },
    `${counted(skipped.length, 'cover')} skipped: see ${path}`,
  );
}
