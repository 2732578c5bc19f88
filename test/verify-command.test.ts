import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { joinRows, splitRows } from '../pipeline/indexing/metadata-file.ts';
import type { CoverFeatures } from '../lib/identify/feature-file.ts';
import { writeFeatureFile } from '../pipeline/indexing/write-features.ts';
import { FeatureIndex } from '../lib/identify/feature-index.ts';
import { canIdentify } from '../lib/identify/native.ts';
import { VectorIndex } from '../lib/vectors/vector-index.ts';
import { cli, eventsOf } from './support/cli.ts';
import { halve } from './support/files.ts';
import { root, starter, starterRows } from './support/requests.ts';
import { smallCatalog, type SmallCatalog } from './support/small-catalog.ts';

const [indexName, metadataName] = ['album_covers.index', 'valid_metadata_final.json'];
const featuresName = 'album_covers.features';

interface Finding {
  check: string;
  level: string;
  message: string;
  details?: Record<string, unknown>;
}

describe('the command verify', { timeout: 1_800_000 }, () => {
  let folder = '';
  let catalog: SmallCatalog;
  let whole = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verify-command-'));
    catalog = await smallCatalog(join(folder, 'catalog'), 0, 40);
    whole = join(folder, 'whole');
    const args = [
      '--images',
      catalog.imagesDir,
      '--metadata',
      catalog.metadataPath,
      '--out',
      whole,
    ];
    assert.equal((await cli(['index', 'build', ...args, '--model', starter.clipDir])).status, 0);
  });
  after(() => rm(folder, { recursive: true }));

  let copies = 0;
  /** A copy of the whole set, to be damaged. */
  const copy = async (options: { manifest: boolean } = { manifest: false }): Promise<string> => {
    const dir = join(folder, `copy-${String((copies += 1))}`);
    await cp(whole, dir, { recursive: true });
    if (!options.manifest) await rm(join(dir, 'manifest.json'));
    return dir;
  };

  const verify = async (dir: string, ...more: string[]) => {
    const { status, output, errors } = await cli([
      ...['verify', dir, '--images', catalog.imagesDir, '--model', starter.clipDir],
      ...['--json', ...more],
    ]);
    const findings = eventsOf(output).filter(
      (event) => event['type'] === 'finding',
    ) as unknown as Finding[];
    const of = (check: string) => findings.filter((one) => one.check === check);
    return { status, findings, of, errors };
  };

  const editRows = async (dir: string, edit: (rows: string[]) => string[]) => {
    const path = join(dir, metadataName);
    await writeFile(path, joinRows(edit(splitRows(await readFile(path, 'utf8')))));
  };

  /** Rewrites the index with edited vectors. */
  const editVectors = async (dir: string, edit: (vector: Float32Array, row: number) => void) => {
    const old = await VectorIndex.open(join(dir, indexName));
    const index = await VectorIndex.create({ dimension: 512, metric: 'inner_product' });
    for (let row = 0; row < old.size; row += 1) {
      const vector = old.vectorOf(row);
      edit(vector, row);
      index.add(vector);
    }
    await index.write(join(dir, indexName));
  };

  const skip = canIdentify() ? false : 'the addon is not built: there is no C++ compiler';
  describe('features', { skip }, () => {
    test('missing features are a note, not an error', async () => {
      const dir = await copy();
      await rm(join(dir, featuresName));
      const { status, of } = await verify(dir);
      assert.equal(status, 0);
      assert.deepEqual(
        of('features').map(({ level }) => level),
        ['note'],
      );
      assert.match(of('features')[0]?.message ?? '', /index features creates it/);
    });

    test('damaged features and those of other covers are errors', async () => {
      const cut = await copy();
      await truncate(join(cut, featuresName), 20_000);
      const other = await copy();
      const index = await FeatureIndex.open(join(other, featuresName));
      const { value } = (await index.covers().next()) as { value: CoverFeatures };
      index.close(); // before it is overwritten
      await writeFeatureFile(join(other, featuresName), [value]);
      const changed = await copy({ manifest: true });
      await cp(join(other, featuresName), join(changed, featuresName));
      for (const [dir, message] of [
        [cut, /has 20000 bytes but/],
        [other, /features of 1 cover but the metadata lists 40 albums.*index features/],
        [changed, /features of 1 cover/],
      ] as const) {
        const { status, of } = await verify(dir);
        assert.equal(status, 3);
        assert.match(of('features')[0]?.message ?? '', message);
      }
      const { of } = await verify(changed);
      assert.deepEqual(of('manifest')[0]?.details, { files: [featuresName] });
    });
  });

  test('reports no problem with a good set, in one line per check, and exits with 0', async () => {
    const { status, findings } = await verify(whole);
    assert.equal(status, 0);
    assert.deepEqual(
      findings.map(({ check, level }) => [check, level]),
      [
        ['manifest', 'ok'],
        ['counts', 'ok'],
        ['ids', 'ok'],
        ['rows', 'ok'],
        ['norms', 'ok'],
        ['features', canIdentify() ? 'ok' : 'note'],
        ['covers', 'ok'],
        ['duplicates', 'ok'],
        ['drift', 'ok'],
      ],
    );
    const { output } = await cli(['verify', whole, '--no-covers']);
    assert.match(output, /^ok {6}manifest {3}fits: Flat, 40 vectors/m);
  });

  test('a truncated index is an error', async () => {
    const dir = await copy();
    await truncate(join(dir, indexName), 20_000);
    const { status, of } = await verify(dir);
    assert.equal(status, 3);
    assert.equal(of('index')[0]?.level, 'error');
    assert.match(of('index')[0]?.message ?? '', /has 20000 bytes where 40 vectors/);
  });

  test('a list of another length is an error', async () => {
    const dir = await copy();
    await editRows(dir, (rows) => rows.slice(2));
    const { status, of } = await verify(dir);
    assert.equal(status, 3);
    assert.match(
      of('counts')[0]?.message ?? '',
      /holds 40 vectors but the metadata lists 38 albums/,
    );
  });

  test('a duplicate id is an error', async () => {
    const dir = await copy();
    await editRows(dir, (rows) => rows.map((row, i) => (i === 7 ? (rows[6] ?? '') : row)));
    const { status, of } = await verify(dir);
    assert.equal(status, 3);
    assert.match(of('metadata')[0]?.message ?? '', /occurs twice/);
  });

  test('ids that are not ascending are a warning', async () => {
    const dir = await copy();
    await editRows(dir, ([first = '', second = '', ...rest]) => [second, first, ...rest]);
    const { of } = await verify(dir);
    assert.equal(of('ids')[0]?.level, 'warning');
  });

  test('dirty rows are counted by kind', async () => {
    const dir = await copy();
    await editRows(dir, (rows) =>
      rows.map((row, i) => (i < 3 ? row.replace(/"artist": ?"[^"]*"/, '"artist": NaN') : row)),
    );
    const { status, of } = await verify(dir);
    assert.equal(status, 0);
    assert.match(of('rows')[0]?.message ?? '', /3 dirty rows, tolerated: missing artist 3/);
  });

  test('vectors that are not of length 1 or contain NaN are an error', async () => {
    const dir = await copy();
    await editVectors(dir, (vector, row) => {
      if (row === 4) vector.fill(NaN);
      if (row === 9) for (const [i, value] of vector.entries()) vector[i] = 2 * value;
    });
    const { status, of } = await verify(dir);
    assert.equal(status, 3);
    assert.deepEqual(of('norms')[0]?.details, { rows: [4, 9], with_nan: 1 });
  });

  test('an index that is not normalised is reported, and its drift is measured as cosines', async () => {
    const dir = await copy();
    await editVectors(dir, (vector) => {
      for (const [i, value] of vector.entries()) vector[i] = 10.88 * value;
    });
    const { status, of } = await verify(dir, '--drift', '3');
    assert.equal(status, 3);
    assert.match(of('norms')[0]?.message ?? '', /40 vectors are not of length 1/);
    assert.match(of('index')[0]?.message ?? '', /have been scaled to it/);
    const { median } = of('drift')[0]?.details ?? {};
    assert.ok(Number(median) > 0.999 && Number(median) <= 1.000001, String(median));
  });

  test('an inverted file that probes only one cell is a warning', async () => {
    const dir = join(folder, 'one-probe');
    const build = [
      'index',
      'build',
      '--images',
      catalog.imagesDir,
      '--metadata',
      catalog.metadataPath,
    ];
    const more = ['--out', dir, '--model', starter.clipDir, '--type', 'IVF4,Flat', '--probes', '1'];
    assert.equal((await cli([...build, ...more])).status, 0);
    const { status, of } = await verify(dir, '--drift', '1');
    assert.equal(status, 0);
    assert.equal(of('index')[0]?.level, 'warning');
    assert.match(of('index')[0]?.message ?? '', /saved to probe 1 of its 4 cells/);
  });

  test('an index with album ids is read by them; one with other ids is an error', async () => {
    for (const [shift, expected] of [
      [0, 0],
      [5000, 3],
    ] as const) {
      const dir = await copy();
      const flat = await readFile(join(dir, indexName));
      const head = Buffer.from(flat.subarray(0, 37)); // FAISS's header, except for the type
      head.write('IxMp', 'latin1');
      const count = Buffer.alloc(8);
      count.writeBigInt64LE(40n);
      const ids = catalog.ids.map((id) => {
        const one = Buffer.alloc(8);
        one.writeBigInt64LE(BigInt(id + shift));
        return one;
      });
      await writeFile(join(dir, indexName), Buffer.concat([head, flat, count, ...ids]));
      const { status, of, errors } = await verify(dir, '--drift', '2');
      assert.equal(status, expected, errors);
      if (shift > 0) assert.match(of('index')[0]?.message ?? '', /ids that are neither/);
      else assert.equal(of('drift')[0]?.level, 'ok');
    }
  });

  test('missing and unreadable covers are warnings that name them', async () => {
    const [missing = 0, cut = 0] = catalog.ids.slice(10, 12);
    const images = join(folder, 'some-covers');
    await cp(catalog.imagesDir, images, { recursive: true });
    await rm(join(images, `album_${String(missing)}.jpg`));
    await halve(join(images, `album_${String(cut)}.jpg`));
    const { status, of } = await verify(whole, '--images', images);
    assert.equal(status, 0);
    assert.deepEqual(
      of('covers').map(({ details }) => details),
      [{ missing: [missing] }, { unreadable: [cut] }],
    );
  });

  test('albums that share a cover are named together', async () => {
    const dir = await copy();
    const index = await VectorIndex.open(join(dir, indexName));
    const [from5, from20] = [index.vectorOf(5), index.vectorOf(20)];
    await editVectors(dir, (vector, row) => {
      if (row === 6 || row === 30) vector.set(from5);
      if (row === 21) vector.set(from20);
    });
    const { of } = await verify(dir);
    const ids = (...rows: number[]) => rows.map((row) => catalog.ids[row]);
    assert.deepEqual(of('duplicates')[0]?.details, { groups: [ids(5, 6, 30), ids(20, 21)] });
  });

  test('files that differ from the manifest are an error', async () => {
    const dir = await copy({ manifest: true });
    await editRows(dir, (rows) => rows.map((row) => row.replace(/"genre": ?"/, '"genre": "New ')));
    const { status, of } = await verify(dir);
    assert.equal(status, 3);
    assert.match(of('manifest')[0]?.message ?? '', /valid_metadata_final\.json differ/);
  });

  test('an index whose rows belong to other covers is reported as made with another model', async () => {
    const dir = await copy();
    await editRows(dir, (rows) => [...rows.slice(1), ...rows.slice(0, 1)]);
    const { status, of } = await verify(dir);
    assert.equal(status, 3);
    assert.match(of('drift')[0]?.message ?? '', /^the index was made with another model/);
  });

  test('an index made with other pre-processing is distinguished from one made with another model', async () => {
    const model = join(folder, 'other-preprocessing');
    await cp(starter.clipDir, model, {
      recursive: true,
      filter: (path) => !path.includes('catalog'),
    });
    const config = join(model, 'preprocessor_config.json');
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replaceAll('0.25', '0.32'));
    const dir = await copy();
    const { status, of } = await verify(dir, '--model', model);
    assert.equal(status, 3);
    assert.match(
      of('drift')[0]?.message ?? '',
      /^the index was made with another dtype or pre-processing/,
    );
  });

  test('a missing set is an error for each file', async () => {
    const { status, of } = await verify(join(folder, 'nowhere'));
    assert.equal(status, 3);
    assert.match(of('index')[0]?.message ?? '', /ENOENT/);
    assert.match(of('metadata')[0]?.message ?? '', /ENOENT/);
  });
});

describe('the command line', () => {
  test('search text and search image print ranked albums', async () => {
    const image = join(starter.imagesDir, 'album_17.jpg');
    const found = await cli(['search', 'image', image, '-k', '3', '--json']);
    assert.equal(found.status, 0, found.errors);
    const [said, ...answer] = eventsOf(found.output);
    assert.deepEqual(said, { type: 'starter_set', starter_set: true });
    const named = canIdentify() ? answer.shift() : undefined;
    if (canIdentify()) assert.deepEqual([named?.['type'], named?.['album_id']], ['identified', 17]);
    const [first] = answer;
    assert.equal(first?.['starter_set'], true);
    assert.equal(first['album_id'], 17);
    assert.equal(first['rank'], 1);
    if (canIdentify()) {
      const { output } = await cli(['search', 'image', image, '-k', '1']);
      assert.match(
        output,
        /^This is .+ – .+ {2}#17 {2}\(\d+ matching points\)\n {2}1 {2}1\.000 {2}/,
      );
      const nothing = join(root, 'test', 'fixtures', 'clip', 'pictures', 'landscape.jpg');
      const none = await cli(['search', 'image', nothing, '-k', '1']);
      assert.match(none.output, /^No album of this catalog was recognised in the picture\. /);
    }
    const words = await cli(['search', 'text', 'red', 'circle', '-k', '2', '--genre', 'Jazz']);
    assert.match(words.output, /^ {2}1 {2}\d\.\d{3} {2}.+ – .+ {2}\(.*Jazz.*\) {2}#\d+\n {2}2 /);
    const made =
      /^These are made-up albums from the starter set, because MODELS_DIR \(.*\) has no files of your own\.\n/;
    assert.match(words.errors, made);
    const none = await cli(['search', 'text', 'x', '--year-min', '2999']);
    assert.equal(none.status, 0);
    assert.match(none.errors, /No album matches/);
    const text = await cli(['search', 'image', 'README.md']);
    assert.equal(text.status, 1);
    assert.match(text.errors.replace(made, ''), /^Error: The file is not a picture.*\n$/);
  });

  test('search name and search text --by find albums by name', async () => {
    const row = starterRows()[16] ?? {};
    const [artist, title] = [String(row['artist']), String(row['album_name'])];
    const words = [artist.toUpperCase(), ...title.split(' ')];
    const byName = await cli(['search', 'name', ...words, '-k', '1']);
    assert.equal(byName.status, 0, byName.errors);
    assert.equal(byName.output.slice(0, 5 + artist.length), `  1  ${artist}`);
    assert.match(byName.output, /^.+ – .+ {2}\(.+\) {2}#\d+\n$/);
    for (const by of ['name', 'both']) {
      const found = await cli(['search', 'text', ...words, '--by', by, '-k', '1', '--json']);
      const [, first] = eventsOf(found.output);
      assert.equal(first?.['artist'], artist);
      assert.ok((first['matched'] as string[]).includes('name'));
      assert.equal(first['similarity_score'] === null, by === 'name');
    }
    const none = await cli(['search', 'name', 'xqzvwk']);
    assert.equal(none.status, 0);
    assert.match(none.errors, /No album matches\./);
    const wrong = await cli(['search', 'text', 'x', '--by', 'smell']);
    assert.equal(wrong.status, 2);
    assert.match(wrong.errors, /Allowed choices are cover, name, both/);
  });

  test('every command has --help', async () => {
    for (const words of [
      [],
      ['index'],
      ...['build', 'add', 'remove', 'merge', 'features'].map((one) => ['index', one]),
      ['verify'],
      ['search'],
      ['search', 'image'],
      ['search', 'text'],
      ['search', 'name'],
      ['import', 'csv'],
      ['pull'],
      ['pull', 'model'],
      ['pull', 'catalog'],
      ['push'],
    ]) {
      const { status, output } = await cli([...words, '--help']);
      assert.equal(status, 0, words.join(' '));
      assert.match(output, /^Usage: shazam-visual/, words.join(' '));
    }
  });

  test('an invalid command line exits with 2 and says what was expected', async () => {
    for (const [args, sentence] of [
      [['indx'], /unknown command 'indx'/],
      [['index', 'build'], /required option '--images <dir>' not specified/],
      [['index', 'remove', '--index', 'x'], /expected --ids or --ids-file/],
      [['search', 'text', 'x', '-k', 'ten'], /Expected a whole number of at least 1/],
      [['index', 'build', '--shard', '4/3'], /Expected a shard like 3\/16/],
      [['verify', '--dtype', 'int4'], /Allowed choices are fp32, fp16, q8/],
      [['pull', 'model', '--dtype', 'q8,int4'], /Expected some of fp32, fp16, q8/],
      [['push'], /missing required argument 'place'/],
      [['push', 'x', '--prune', '--no-covers'], /--prune and --no-covers exclude each other/],
    ] as const) {
      const { status, errors } = await cli(args);
      assert.equal(status, 2, args.join(' '));
      assert.match(errors, sentence);
    }
  });

  test('an invalid environment is reported in one sentence', async () => {
    const { status, errors } = await cli(['verify'], { PORT: 'x' });
    assert.equal(status, 1);
    assert.match(
      errors,
      /^Error: Expected an integer from 0 to 65535 for PORT but received "x"\.\n$/,
    );
  });
});
