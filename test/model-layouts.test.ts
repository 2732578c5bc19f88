import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { createImageEncoder } from '../lib/clip/image-encoder.ts';
import { createTextEncoder } from '../lib/clip/text-encoder.ts';
import { isAppError, type AppError } from '../lib/errors.ts';
import { identifyModel } from '../pipeline/indexing/identify-model.ts';
import { locateLocalAssets } from '../lib/assets/local-assets.ts';
import { remoteAssets } from '../lib/assets/remote-assets.ts';
import { cli } from './support/cli.ts';
import { references } from './support/reference.ts';
import { root } from './support/requests.ts';
import { s3Skip, startS3Server, type S3Server } from './support/s3-server.ts';

const fixtures = fileURLToPath(new URL('fixtures/clip/', import.meta.url));
const picture = readFile(join(fixtures, 'pictures', 'landscape.jpg'));

let folder = '';
before(async () => (folder = await mkdtemp(join(tmpdir(), 'layouts-'))));
after(() => rm(folder, { recursive: true }));

/** A model file: a fixture, or its content (serialised as JSON unless it is a string), or `null` for none. */
type File = { fixture: string } | string | object | null;
const fixture = (name: string) => ({ fixture: name });
const config = fixture('model/config.json');
const preprocessor = fixture('model/preprocessor_config.json');
const tokenizer = fixture('model/tokenizer.json');
const vision = fixture('towers/vision.onnx');
const text = fixture('towers/text.onnx');

/** The layout of transformers.js; every other layout must give the same embeddings. */
const transformersJs: Record<string, File> = {
  'config.json': config,
  'preprocessor_config.json': preprocessor,
  'tokenizer.json': tokenizer,
  'onnx/vision_model.onnx': vision,
  'onnx/text_model.onnx': text,
};

async function makeModel(files: Record<string, File>): Promise<string> {
  const modelDir = await mkdtemp(join(folder, 'model-'));
  for (const [name, file] of Object.entries(files)) {
    if (file === null) continue;
    await mkdir(dirname(join(modelDir, name)), { recursive: true });
    if (typeof file === 'string') await writeFile(join(modelDir, name), file);
    else if ('fixture' in file && typeof file.fixture === 'string')
      await cp(join(fixtures, file.fixture), join(modelDir, name));
    else await writeFile(join(modelDir, name), JSON.stringify(file));
  }
  return modelDir;
}

const embedPicture = async (modelDir: string) => {
  const encoder = await createImageEncoder({ modelDir });
  return encoder.encode(await picture).finally(() => encoder.dispose());
};
/** Exactly as many tokens as immich's fixed graph takes: padding changes the embedding in this fixture. */
const words = 'a red blue circle';
const embedText = async (modelDir: string) => {
  const encoder = await createTextEncoder({ modelDir });
  return encoder.encode(words).finally(() => encoder.dispose());
};

async function refusal(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => assert.fail('expected a refusal'),
    (thrown: unknown) => thrown,
  );
  if (!isAppError(error)) throw error;
  assert.doesNotMatch(error.detail, /Invalid|undefined/);
  assert.equal(error.detail.match(/[^.]\.( |$)/g)?.length, 1, `one sentence: ${error.detail}`);
  return error;
}

/** `fixtures/clip/model/preprocessor_config.json` in open_clip's format. */
const openClipCfg = {
  ...{ size: 32, mode: 'RGB', mean: [0.5, 0.25, 0], std: [0.5, 0.25, 1] },
  ...{ interpolation: 'bicubic', resize_mode: 'shortest', fill_color: 0 },
};
const openClipModelCfg = {
  ...{ embed_dim: 8, vision_cfg: { image_size: 32, patch_size: 16 } },
  text_cfg: { context_length: 6, vocab_size: 8 },
};
const immich = {
  'config.json': openClipModelCfg,
  'visual/model.onnx': fixture('exports/immich-visual.onnx'),
  'visual/preprocess_cfg.json': openClipCfg,
  'textual/model.onnx': fixture('exports/immich-textual.onnx'),
  'textual/tokenizer.json': tokenizer,
};
const side = {
  'config.json': config,
  'preprocessor_config.json': preprocessor,
  'tokenizer.json': tokenizer,
};

describe('model layouts of different exporters', () => {
  let expected: { picture: Float32Array; text: Float32Array };
  before(async () => {
    const modelDir = await makeModel(transformersJs);
    expected = { picture: await embedPicture(modelDir), text: await embedText(modelDir) };
  });

  for (const { what, files } of [
    {
      what: 'optimum: the towers at the root',
      files: { ...side, 'vision_model.onnx': vision, 'text_model.onnx': text },
    },
    {
      what: 'optimum: a single tower each as model.onnx',
      files: { ...side, 'model.onnx': vision, 'onnx/text_model.onnx': text },
    },
    { what: 'immich', files: immich },
    {
      what: 'immich with the sizes as a list',
      files: { ...immich, 'visual/preprocess_cfg.json': { ...openClipCfg, size: [32, 32] } },
    },
    {
      what: 'open_clip: names of inputs and outputs, and its configuration alone',
      files: {
        'open_clip_config.json': {
          model_cfg: openClipModelCfg,
          preprocess_cfg: { mean: openClipCfg.mean, std: openClipCfg.std },
        },
        'tokenizer.json': tokenizer,
        'onnx/vision_model.onnx': fixture('exports/open-clip-visual.onnx'),
        'onnx/text_model.onnx': fixture('exports/open-clip-textual.onnx'),
      },
    },
    {
      what: "open_clip's preprocess_cfg under transformers' name",
      files: { ...transformersJs, 'preprocessor_config.json': openClipCfg },
    },
    {
      what: 'transformers 5: processor_config.json alone',
      files: {
        ...transformersJs,
        'preprocessor_config.json': null,
        'processor_config.json': {
          image_processor: {
            ...{ size: { shortest_edge: 32 }, crop_size: { height: 32, width: 32 }, resample: 3 },
            ...{ image_mean: [0.5, 0.25, 0], image_std: [0.5, 0.25, 1] },
            image_processor_type: 'CLIPImageProcessor',
          },
          processor_class: 'CLIPProcessor',
        },
      },
    },
    {
      what: 'size and crop_size as numbers',
      files: {
        ...transformersJs,
        'preprocessor_config.json': {
          ...{ size: 32, crop_size: 32, image_mean: [0.5, 0.25, 0], image_std: [0.5, 0.25, 1] },
        },
      },
    },
  ] as { what: string; files: Record<string, File> }[])
    test(what, async () => {
      const modelDir = await makeModel(files);
      const close = (one: Float32Array, other: Float32Array) => {
        for (const [i, value] of one.entries())
          assert.ok(Math.abs(value - (other[i] ?? NaN)) < 1e-6, 'another embedding');
      };
      close(await embedPicture(modelDir), expected.picture);
      close(await embedText(modelDir), expected.text);
    });

  test('squashes a picture if the open_clip configuration says so', async () => {
    const files = (resize: object, name: string) => ({ ...transformersJs, [name]: resize });
    const squash = { ...openClipCfg, resize_mode: 'squash' };
    const exact = {
      ...{ size: { height: 32, width: 32 }, do_center_crop: false },
      ...{ image_mean: [0.5, 0.25, 0], image_std: [0.5, 0.25, 1] },
    };
    const name = 'preprocessor_config.json';
    const [one, other] = [
      await makeModel(files(squash, name)),
      await makeModel(files(exact, name)),
    ];
    assert.deepEqual(await embedPicture(one), await embedPicture(other));
    assert.notDeepEqual(await embedPicture(one), expected.picture);
  });

  test('prefers separate towers to a combined graph, whatever their dtype', async () => {
    const modelDir = await makeModel({
      ...side,
      'onnx/model.onnx': fixture('exports/combined.onnx'),
      'onnx/vision_model_quantized.onnx': vision,
    });
    const encoder = await createImageEncoder({ modelDir });
    assert.equal(encoder.dtype, 'q8');
    await encoder.dispose();
  });
});

for (const { name: reference, skip, path } of references)
  test(`vocab.json and merges.txt give transformers' ids: ${reference}`, { skip }, async () => {
    const modelDir = await mkdtemp(join(folder, 'model-'));
    await cp(path('tiny-clip'), modelDir, { recursive: true });
    const { model } = JSON.parse(await readFile(join(modelDir, 'tokenizer.json'), 'utf8')) as {
      model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
    };
    await rm(join(modelDir, 'tokenizer.json'));
    const merges = model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')));
    await writeFile(join(modelDir, 'vocab.json'), JSON.stringify(model.vocab));
    await writeFile(join(modelDir, 'merges.txt'), `#version: 0.2\n${merges.join('\n')}\n`);
    const encoder = await createTextEncoder({ modelDir });
    const { texts } = JSON.parse(await readFile(path('golden.json'), 'utf8')) as {
      texts: { text: string; input_ids: number[] }[];
    };
    assert.notEqual(texts.length, 0);
    for (const one of texts) assert.deepEqual(encoder.tokenize(one.text), one.input_ids, one.text);
    await encoder.dispose();
  });

describe('errors of an unreadable model say what was found and what to do', () => {
  const images = (files: Record<string, File>) => async () =>
    embedPicture(await makeModel({ ...transformersJs, ...files }));
  const texts = (files: Record<string, File>) => async () =>
    embedText(await makeModel({ ...transformersJs, ...files }));
  const pictures = (fields: object) => images({ 'preprocessor_config.json': fields });
  const graph = (file: File) => images({ 'onnx/vision_model.onnx': file });
  const openClip = (fields: object) => pictures({ ...openClipCfg, ...fields });
  const merges = (vocab: File, list: string) =>
    texts({ 'tokenizer.json': null, 'vocab.json': vocab, 'merges.txt': list });
  const clipVocabulary = { 'a</w>': 0, '<|startoftext|>': 1, '<|endoftext|>': 2 };

  for (const { what, load, code = 'model_unreadable', says } of [
    {
      what: 'a size that is a list',
      load: pictures({ size: [224, 224] }),
      says: /preprocessor_config\.json is not as expected: size: expected a whole number up to 4096, \{"shortest_edge": number\} or \{"height": number, "width": the same\} but found \[224,224\]\.$/,
    },
    {
      what: 'a size of another kind',
      load: pictures({ size: { longest_edge: 224 } }),
      says: /size: expected .* but found \{"longest_edge":224\}/,
    },
    {
      what: 'a size that is no square',
      load: pictures({ size: { height: 32, width: 24 } }),
      says: /size: expected a square but found \{"height":32,"width":24\}/,
    },
    {
      what: 'a crop that is a text',
      load: pictures({ crop_size: '32' }),
      says: /crop_size: expected a whole number .* but found "32"/,
    },
    {
      what: 'a deviation of 0',
      load: pictures({ image_std: [0.5, 0, 0.5] }),
      says: /image_std\.1: expected more than 0 but found 0\.$/,
    },
    {
      what: 'a mean of one number',
      load: pictures({ image_mean: 0.5 }),
      says: /image_mean: expected a list of three numbers but found 0\.5/,
    },
    {
      what: 'another filter',
      load: pictures({ resample: 2 }),
      says: /resample: expected 3 \(bicubic\), the only filter supported, but found 2/,
    },
    {
      what: 'a text in the place of a truth value',
      load: pictures({ do_rescale: 'yes' }),
      says: /do_rescale: expected true or false but found "yes"/,
    },
    {
      what: 'a processor without pictures',
      load: images({
        'preprocessor_config.json': null,
        'processor_config.json': { processor_class: 'CLIPProcessor' },
      }),
      says: /processor_config\.json is not as expected: image_processor: expected an object but found nothing/,
    },
    {
      what: "open_clip's sizes that are no square",
      load: openClip({ size: [32, 24] }),
      says: /size: expected a whole number up to 4096 or a list of two that are the same but found \[32,24\]/,
    },
    {
      what: "open_clip's padding",
      load: openClip({ resize_mode: 'longest' }),
      says: /resize_mode: expected shortest or squash but found "longest"/,
    },
    {
      what: "open_clip's other filter",
      load: openClip({ interpolation: 'bilinear' }),
      says: /interpolation: expected bicubic or random but found "bilinear"/,
    },
    {
      what: 'a text tower of open_clip that is not CLIP',
      load: texts({
        'config.json': {
          ...openClipModelCfg,
          text_cfg: { hf_tokenizer_name: 'timm/ViT-B-16-SigLIP' },
        },
      }),
      says: /text_cfg\.hf_tokenizer_name: expected none, since only CLIP's own text tower is read but found "timm/,
    },
    {
      what: 'a configuration that is a list',
      load: texts({ 'config.json': [] }),
      says: /config\.json is not as expected: expected an object but found \[\]/,
    },
    {
      what: 'a dimension that is a text',
      load: texts({ 'config.json': { projection_dim: '8' } }),
      says: /projection_dim: expected a number but found "8"/,
    },
    {
      what: 'weights that are not there',
      load: graph(fixture('exports/weights-beside.onnx')),
      code: 'assets_missing',
      says: /onnx\/weights-beside\.onnx_data is missing: it holds the weights of .*vision_model\.onnx\.$/,
    },
    {
      what: 'weights that are cut off',
      load: images({
        'onnx/vision_model.onnx': fixture('exports/weights-beside.onnx'),
        'onnx/weights-beside.onnx_data': '1234',
      }),
      says: /vision_model\.onnx does not fit the file of its weights/,
    },
    {
      what: 'a newer opset',
      load: graph(fixture('exports/newer-opset.onnx')),
      says: /vision_model\.onnx is newer than this ONNX Runtime reads \(opset \d+\): export it with an older opset/,
    },
    {
      what: 'a newer format',
      load: graph(fixture('exports/newer-ir.onnx')),
      says: /is newer than this ONNX Runtime reads \(IR version: \d+\)/,
    },
    {
      what: 'an unknown operator',
      load: graph(fixture('exports/unknown-operator.onnx')),
      says: /needs the operator Frobnicate, which this ONNX Runtime does not have/,
    },
    {
      what: "another maker's operator",
      load: graph(fixture('exports/unknown-domain.onnx')),
      says: /needs the operator com\.example:FusedThing/,
    },
    {
      what: 'a Git LFS pointer in the place of a graph',
      load: graph('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'),
      code: 'assets_missing',
      says: /vision_model\.onnx is a Git LFS pointer, not the file itself: run git lfs pull\.$/,
    },
    {
      what: 'a Git LFS pointer in the place of a tokenizer',
      load: texts({ 'tokenizer.json': 'version https://git-lfs.github.com/spec/v1\n' }),
      code: 'assets_missing',
      says: /tokenizer\.json is a Git LFS pointer/,
    },
    {
      what: 'a file that is no ONNX',
      load: graph('<!doctype html>'),
      says: /vision_model\.onnx is not an ONNX graph, or not a whole one/,
    },
    {
      what: 'two outputs that may be the embedding',
      load: graph(fixture('exports/two-outputs.onnx')),
      says: /has the outputs "features", "again": expected "image_embeds"/,
    },
    {
      what: 'an output before the projection',
      load: graph(fixture('towers/vision-other-output.onnx')),
      says: /has the outputs "pooler_output": expected "image_embeds"/,
    },
    {
      what: 'another vocabulary',
      load: merges({ hello: 0 }, '#version: 0.2\nh e\n'),
      says: /vocab\.json is not as expected: expected CLIP's vocabulary .* tokenizer\.json is written by AutoTokenizer/,
    },
    {
      what: 'merges that are none',
      load: merges(clipVocabulary, '#version: 0.2\nh e l\n'),
      says: /merges\.txt is not a list of merges: expected two tokens in each line\.$/,
    },
    {
      what: 'exports of dtypes that are not read',
      load: images({ 'onnx/vision_model.onnx': null, 'onnx/vision_model_q4.onnx': vision }),
      code: 'assets_missing',
      says: /vision tower is missing.*onnx\/vision_model_q4\.onnx/,
    },
  ])
    test(`${what} is ${code}`, async () => {
      const error = await refusal(load());
      assert.equal(error.code, code, error.detail);
      assert.match(error.detail, says);
    });

  const python =
    spawnSync('python3', ['-c', 'import onnx']).status === 0 ? 'python3' : '/usr/bin/python3';
  const withoutOnnx =
    spawnSync(python, ['-c', 'import onnx']).status === 0
      ? false
      : "Python's onnx is not installed";

  const bothInOne = { ...side, 'model.onnx': fixture('exports/combined.onnx') };

  test('the error for a combined graph names the command that splits it', async () => {
    const modelDir = await makeModel(bothInOne);
    for (const load of [embedPicture, embedText]) {
      const error = await refusal(load(modelDir));
      assert.equal(error.code, 'model_unreadable');
      assert.match(
        error.detail,
        /model\.onnx holds both towers in one graph: .*python3 -c 'from onnx\.utils import extract_model/,
      );
    }
  });

  test('the model is readable after that command', { skip: withoutOnnx }, async () => {
    const modelDir = await makeModel(bothInOne);
    const { detail } = await refusal(embedPicture(modelDir));
    const [, script = ''] = /python3 -c '(.*)'\.$/.exec(detail) ?? [];
    const run = spawnSync(python, ['-c', script], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr);
    const plain = await makeModel({
      ...transformersJs,
      'onnx/text_model.onnx': fixture('towers/text-mask.onnx'),
    });
    assert.deepEqual(await embedPicture(modelDir), await embedPicture(plain));
    assert.deepEqual(await embedText(modelDir), await embedText(plain));
  });
});

test('a model without a name is named after its folder', async () => {
  const modelDir = await makeModel(immich);
  const named = join(folder, 'ViT-B-32__openai');
  await rename(modelDir, named);
  const { model, preprocessing } = await identifyModel(named);
  assert.equal(model.name, 'ViT-B-32__openai');
  assert.deepEqual(Object.keys(model.files), ['visual/preprocess_cfg.json', 'visual/model.onnx']);
  assert.deepEqual(preprocessing, openClipCfg);
});

describe('the same layouts are supported everywhere', () => {
  const optimum = {
    ...{ 'config.json': config, 'tokenizer.json': tokenizer },
    'processor_config.json': { image_processor: { size: 32 }, processor_class: 'CLIPProcessor' },
    ...{ 'vision_model_quantized.onnx': vision, 'text_model_quantized.onnx': text },
  };

  for (const [name, files] of Object.entries({ optimum, immich }))
    test(`${name}: finds the user's files and names a missing one`, async () => {
      const modelsDir = await mkdtemp(join(folder, 'models-'));
      await rename(await makeModel(files), join(modelsDir, 'clip'));
      for (const one of ['album_covers.index', 'valid_metadata_final.json'])
        await writeFile(join(modelsDir, one), 'x');
      const folders = { modelsDir, imagesDir: folder, starterDir: folder };
      assert.equal((await locateLocalAssets(folders)).origin, 'user');
      const tower = name === 'immich' ? 'visual/model.onnx' : 'vision_model_quantized.onnx';
      await rm(join(modelsDir, 'clip', tower));
      const { detail } = await locateLocalAssets(folders).then(
        () => assert.fail('expected a refusal'),
        (error: unknown) => error as AppError,
      );
      assert.match(detail, /Missing: .*clip\/onnx\/vision_model\.onnx\./);
    });

  for (const { name, files, dtype } of [
    { name: 'optimum', files: optimum, dtype: 'q8' },
    { name: 'immich', files: immich, dtype: 'fp32' },
  ])
    test(`${name}: pull model keeps the layout`, async () => {
      const from = await makeModel({ ...files, 'README.md': '# not wanted' });
      const out = join(from, '..', `pulled-${name}`);
      const args = ['pull', 'model', '--from', from, '--dtype', dtype, '--out', out];
      const { status, errors } = await cli(args);
      assert.equal(status, 0, errors);
      const embedded = [await embedPicture(out), await embedText(out)];
      assert.deepEqual(embedded, [await embedPicture(from), await embedText(from)]);
      await assert.rejects(readFile(join(out, 'README.md')));
    });

  test("the container image's build names the layout it needs", async () => {
    const server = createServer((_, response) => response.writeHead(404).end());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const env = { ...process.env, MODEL_URL: `http://127.0.0.1:${String(port)}/optimum` };
    const build = spawn(process.execPath, [join(root, 'infra', 'fetch-model.mjs'), folder], {
      env,
    });
    let said = '';
    build.stderr.on('data', (data: Buffer) => (said += data.toString()));
    const [status] = (await once(build, 'close')) as [number];
    server.close();
    assert.equal(status, 1);
    assert.match(
      said,
      /optimum\/config\.json is missing: MODEL_URL must be a folder in transformers\.js's layout, with .*onnx\/vision_model_quantized\.onnx/,
    );
  });

  describe('in S3', { skip: s3Skip }, () => {
    let s3: S3Server;
    before(async () => {
      s3 = await startS3Server();
      Object.assign(process.env, s3.env());
      await s3.client().send(new CreateBucketCommand({ Bucket: 'models' }));
    });
    after(() => {
      s3.stop();
    });

    for (const [name, files] of Object.entries({ optimum, immich }))
      test(`${name}: fetches only the files of the requested tower`, async () => {
        const from = await makeModel(files);
        for (const one of Object.keys(files))
          await s3.client().send(
            new PutObjectCommand({
              ...{ Bucket: 'models', Key: `${name}/models/clip/${one}` },
              Body: await readFile(join(from, one)),
            }),
          );
        const remote = (cacheDir: string) =>
          remoteAssets({
            ...{ uri: `s3://models/${name}`, cacheDir, pathStyle: true },
            onFetch: () => undefined,
          });
        const [one, other] = [join(from, 'one'), join(from, 'other')];
        const pictures = await remote(one).clip('vision');
        assert.deepEqual(await embedPicture(pictures), await embedPicture(from));
        const texts = await remote(other).clip('text');
        assert.deepEqual(await embedText(texts), await embedText(from));
        assert.equal((await refusal(embedText(pictures))).code, 'assets_missing');
      });
  });
});
