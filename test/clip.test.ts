import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromHalfBits, toHalfBits } from '../lib/clip/float16.ts';
import { createImageEncoder } from '../lib/clip/image-encoder.ts';
import type { ClipDtype } from '../lib/clip/model-files.ts';
import { createTextEncoder } from '../lib/clip/text-encoder.ts';
import { isAppError, type AppError } from '../lib/errors.ts';
import { withoutAlpha } from './support/pictures.ts';
import { references } from './support/reference.ts';

const fixtures = fileURLToPath(new URL('fixtures/clip/', import.meta.url));
const picture = (name: string): Promise<Buffer> => readFile(join(fixtures, 'pictures', name));

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Array.from(x).reduce((sum, value, i) => sum + value * (y[i] ?? NaN), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

const medianOf = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

interface Golden {
  images: Record<string, { embedding: number[] }>;
  texts: { text: string; input_ids: number[]; embedding: number[] }[];
}

for (const { name: reference, skip, path } of references)
  describe(`embeddings match those of transformers: ${reference}`, { skip }, () => {
    const modelDir = path('tiny-clip');
    let golden: Golden;
    before(async () => {
      golden = JSON.parse(await readFile(path('golden.json'), 'utf8')) as Golden;
    });

    test('pictures: cosine at least 0.9995 each (CMYK 0.98), 0.9998 for the median', async (t) => {
      const encoder = await createImageEncoder({ modelDir });
      assert.equal(encoder.dimension, 512);
      const cosines: number[] = [];
      for (const [name, { embedding }] of Object.entries(golden.images)) {
        const bytes = await readFile(path(`images/${name}`));
        // transformers drops alpha; how it is handled here is tested in imaging.test.ts.
        const found = cosine(await encoder.encode(await withoutAlpha(bytes)), embedding);
        cosines.push(found);
        assert.ok(found >= (name === 'cmyk.jpg' ? 0.98 : 0.9995), `${name}: ${String(found)}`);
      }
      const median = medianOf(cosines);
      assert.ok(median >= 0.9998, `median ${String(median)}`);
      t.diagnostic(
        `${String(cosines.length)} pictures: least ${Math.min(...cosines).toFixed(6)}, median ${median.toFixed(6)}`,
      );
    });

    test('texts: identical token ids, cosine at least 0.99999 each', async (t) => {
      const encoder = await createTextEncoder({ modelDir });
      assert.equal(encoder.dimension, 512);
      const cosines: number[] = [];
      for (const { text, input_ids: ids, embedding } of golden.texts) {
        assert.deepEqual(encoder.tokenize(text), ids, text);
        const found = cosine(await encoder.encode(text), embedding);
        cosines.push(found);
        assert.ok(found >= 0.99999, `${text}: ${String(found)}`);
      }
      t.diagnostic(
        `${String(cosines.length)} texts: least ${Math.min(...cosines).toFixed(7)}, median ${medianOf(cosines).toFixed(7)}`,
      );
    });

    test('a capital sigma becomes σ even at the end of a word, as in the Rust tokenizer', async () => {
      const encoder = await createTextEncoder({ modelDir });
      // From Python's tokenizers package.
      assert.deepEqual(
        encoder.tokenize('ΣΑΣ ΟΔΟΣ'),
        [49406, 139, 225, 138, 109, 139, 481, 138, 123, 138, 112, 138, 123, 139, 481, 49407],
      );
    });
  });

/** Parts of a model assembled from the fixtures. */
interface Parts {
  /** Names in `fixtures/clip/towers`, keyed by their names in `onnx/`. */
  towers?: Record<string, string>;
  /** Contents that replace files of the model; `null` removes the file. */
  files?: Record<string, string | null>;
}

let folder = '';
before(async () => (folder = await mkdtemp(join(tmpdir(), 'clip-'))));
after(() => rm(folder, { recursive: true }));

async function makeModel({ towers = {}, files = {} }: Parts): Promise<string> {
  const modelDir = await mkdtemp(join(folder, 'model-'));
  await cp(join(fixtures, 'model'), modelDir, { recursive: true });
  await mkdir(join(modelDir, 'onnx'));
  for (const [name, tower] of Object.entries(towers))
    await cp(join(fixtures, 'towers', `${tower}.onnx`), join(modelDir, 'onnx', `${name}.onnx`));
  for (const [name, content] of Object.entries(files))
    await (content === null ? rm(join(modelDir, name)) : writeFile(join(modelDir, name), content));
  return modelDir;
}

const imageModel = async (tower: string, files: Parts['files'] = {}) =>
  createImageEncoder({ modelDir: await makeModel({ towers: { vision_model: tower }, files }) });
const textModel = async (tower: string, files: Parts['files'] = {}) =>
  createTextEncoder({ modelDir: await makeModel({ towers: { text_model: tower }, files }) });

async function refusal(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => assert.fail('expected a refusal'),
    (thrown: unknown) => thrown,
  );
  assert.ok(isAppError(error), String(error));
  return error;
}

describe('the image tower', () => {
  test('returns vectors of length 1 and of the dimension that it reports', async () => {
    const encoder = await imageModel('vision');
    const embedding = await encoder.encode(await picture('landscape.jpg'));
    assert.ok(embedding instanceof Float32Array);
    assert.deepEqual([encoder.dimension, embedding.length], [8, 8]);
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
  });

  test('reads size, mean and standard deviation from preprocessor_config.json', async () => {
    const encoder = await imageModel('vision');
    const planes = await encoder.preprocess(await picture('one-pixel.png'));
    assert.equal(planes.length, 3 * 32 * 32);
    // (200, 100, 50) with mean (0.5, 0.25, 0) and deviation (0.5, 0.25, 1): see fixtures/clip/make.py.
    const expected = [(200 / 255 - 0.5) / 0.5, (100 / 255 - 0.25) / 0.25, 50 / 255];
    for (const [channel, value] of expected.entries())
      assert.ok(Math.abs((planes[channel * 32 * 32 + 5] ?? NaN) - value) < 1e-6);
  });

  test('accepts the size as a number, a shortest edge or a square', async () => {
    for (const size of [40, { shortest_edge: 40 }, { height: 40, width: 40 }]) {
      const config = JSON.stringify({ size, crop_size: 36, resample: 3 });
      const encoder = await imageModel('vision', { 'preprocessor_config.json': config });
      const planes = await encoder.preprocess(await picture('portrait.png'));
      assert.equal(planes.length, 3 * 36 * 36);
    }
  });

  test('embeds a batch like its pictures one by one, even if the graph has a batch size of 1', async () => {
    for (const tower of ['vision', 'vision-one-at-a-time']) {
      const encoder = await imageModel(tower);
      const names = ['landscape.jpg', 'alpha.png', 'small.png'];
      const pixels = await Promise.all(
        names.map(async (name) => encoder.preprocess(await picture(name))),
      );
      const single = await Promise.all(pixels.map((planes) => encoder.embed(planes)));
      assert.deepEqual(await encoder.embedBatch(pixels), single);
      assert.deepEqual(await encoder.embedBatch([]), []);
    }
  });

  test('supports half-precision inputs and outputs', async () => {
    const [full, half] = await Promise.all([imageModel('vision'), imageModel('vision-half')]);
    const bytes = await picture('landscape.jpg');
    assert.ok(cosine(await full.encode(bytes), await half.encode(bytes)) > 0.9999);
  });

  test('refuses a picture with more than maxPixels', async () => {
    const modelDir = await makeModel({ towers: { vision_model: 'vision' } });
    const encoder = await createImageEncoder({ modelDir, maxPixels: 1000 });
    assert.equal(
      (await refusal(encoder.encode(await picture('landscape.jpg')))).code,
      'image_too_large',
    );
  });

  test('does not need the text tower or the tokenizer', async () => {
    await imageModel('vision', { 'tokenizer.json': null });
  });
});

describe('the text tower', () => {
  // Tokens from fixtures/clip/make.py: [start] is 0, [end] 1, "a" 2, "red" 3, "blue" 4, "circle" 5, any other word 7.
  test('tokenises with tokenizer.json, and keeps the end-of-text token of a truncated text', async () => {
    const encoder = await textModel('text');
    assert.deepEqual(encoder.tokenize('a RED circle'), [0, 2, 3, 5, 1]);
    assert.deepEqual(encoder.tokenize('red red red red blue blue'), [0, 3, 3, 3, 3, 1]);
    assert.deepEqual(encoder.tokenize(''), [0, 1]);
    assert.deepEqual(encoder.tokenize('a green circle'), [0, 2, 7, 5, 1], 'unknown words');
  });

  test('returns vectors of length 1', async () => {
    const encoder = await textModel('text');
    const embedding = await encoder.encode('a red circle');
    assert.deepEqual([encoder.dimension, embedding.length], [8, 8]);
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
  });

  test('is given a mask of ones, 32-bit ids, half precision or padding if the graph requires it', async () => {
    const plain = await (await textModel('text')).encode('a red circle');
    for (const tower of ['text-mask', 'text-int32', 'text-half', 'text-fixed-length']) {
      const embedding = await (await textModel(tower)).encode('a red circle');
      assert.ok(cosine(plain, embedding) > 0.9999, tower);
    }
  });

  test('is given positions from 0 if the graph requires them', async () => {
    const plain = await textModel('text-mask');
    const positioned = await textModel('text-positions');
    const text = 'a red circle';
    // The fixture adds each token's position to its embedding: 0 + 1 + 2 + 3 + 4 = 10 in all.
    const [before, after] = [await plain.encode(text), await positioned.encode(text)];
    const ones = new Float32Array(8).fill(1);
    const rest = (vector: Float32Array) => {
      const mean = vector.reduce((sum, value) => sum + value / 8, 0);
      return vector.map((value) => value - mean);
    };
    assert.ok(cosine(rest(before), rest(after)) > 0.9999);
    assert.ok(cosine(after, ones) > cosine(before, ones));
  });

  test('does not need the image tower or its pre-processing', async () => {
    await textModel('text', { 'preprocessor_config.json': null });
  });
});

describe('an export is chosen by its dtype', () => {
  const suffixes: Record<ClipDtype, string> = { fp32: '', fp16: '_fp16', q8: '_quantized' };
  for (const { present, asked, chosen } of [
    { present: ['fp32', 'fp16', 'q8'], asked: undefined, chosen: 'fp32' },
    { present: ['fp16', 'q8'], asked: undefined, chosen: 'fp16' },
    { present: ['q8'], asked: undefined, chosen: 'q8' },
    { present: ['fp32', 'q8'], asked: 'q8', chosen: 'q8' },
    { present: ['fp32'], asked: 'q8', chosen: null },
    { present: [], asked: undefined, chosen: null },
  ] satisfies { present: ClipDtype[]; asked: ClipDtype | undefined; chosen: ClipDtype | null }[])
    test(`${asked ?? 'any'} of ${present.join(', ') || 'nothing'} is ${chosen ?? 'missing'}`, async () => {
      const names = present.flatMap((dtype) => [
        [`vision_model${suffixes[dtype]}`, 'vision'],
        [`text_model${suffixes[dtype]}`, 'text'],
      ]);
      const options = {
        modelDir: await makeModel({ towers: Object.fromEntries(names) as Record<string, string> }),
        ...(asked && { dtype: asked }),
      };
      for (const [tower, create] of [
        ['vision', createImageEncoder],
        ['text', createTextEncoder],
      ] as const) {
        if (chosen !== null) {
          assert.equal((await create(options)).dtype, chosen);
          continue;
        }
        const { code, detail } = await refusal(create(options));
        assert.equal(code, 'assets_missing');
        assert.ok(
          detail.includes(`onnx/${tower}_model${asked ? suffixes[asked] : ''}.onnx`),
          detail,
        );
      }
    });
});

describe('an unusable model is refused with an error that names the file', () => {
  const preprocessor = (fields: object) => ({ 'preprocessor_config.json': JSON.stringify(fields) });
  for (const { what, load, code = 'model_unreadable', says } of [
    {
      what: 'a damaged graph',
      load: () => imageModel('vision', { 'onnx/vision_model.onnx': 'not a model' }),
      says: /vision_model\.onnx is not an ONNX graph/,
    },
    {
      what: 'an empty graph',
      load: () => textModel('text', { 'onnx/text_model.onnx': '' }),
      says: /text_model\.onnx is not an ONNX graph/,
    },
    {
      what: 'another output',
      load: () => imageModel('vision-other-output'),
      says: /has the outputs "pooler_output": expected "image_embeds"/,
    },
    {
      what: 'an unknown input',
      load: () => imageModel('vision-other-input'),
      says: /has the inputs "pixel_values", "bool_masked_pos": expected "pixel_values" alone/,
    },
    {
      what: 'the other tower',
      load: () => imageModel('text'),
      says: /has the inputs "input_ids": expected "pixel_values"/,
    },
    {
      what: 'another picture size',
      load: () => imageModel('vision-other-size'),
      says: /takes pictures of 64 pixels but preprocessor_config\.json makes them 32/,
    },
    {
      what: 'another projection',
      load: () => imageModel('vision-narrow'),
      says: /embeddings of 5 dimensions but the model's config\.json has projection_dim 8/,
    },
    {
      what: 'NaN',
      load: () => imageModel('vision-nan'),
      says: /vision_model\.onnx fails on a trial input: .*length NaN/,
    },
    {
      what: 'only zeros',
      load: () => imageModel('vision-zero'),
      says: /vision_model\.onnx fails on a trial input: .*length 0/,
    },
    {
      what: 'a damaged tokenizer',
      load: () => textModel('text', { 'tokenizer.json': '{"version": "1.0"' }),
      says: /tokenizer\.json is not valid JSON/,
    },
    {
      what: 'no tokenizer at all',
      load: () => textModel('text', { 'tokenizer.json': '{}' }),
      says: /tokenizer\.json is not a tokenizer/,
    },
    {
      what: 'a list as configuration',
      load: () => textModel('text', { 'config.json': '[]' }),
      says: /config\.json is not as expected/,
    },
    {
      what: 'another filter',
      load: () => imageModel('vision', preprocessor({ resample: 2 })),
      says: /preprocessor_config\.json is not as expected: resample: expected 3 \(bicubic\)/,
    },
    {
      what: 'a crop that is no square',
      load: () => imageModel('vision', preprocessor({ crop_size: { height: 32, width: 24 } })),
      says: /crop_size/,
    },
    {
      what: 'a crop beyond the picture',
      load: () => imageModel('vision', preprocessor({ size: 30, crop_size: 32 })),
      says: /crop_size: expected at most 30/,
    },
    {
      what: 'no configuration',
      load: () => imageModel('vision', { 'config.json': null }),
      code: 'assets_missing',
      says: /config\.json is missing/,
    },
    {
      what: 'no pre-processing',
      load: () => imageModel('vision', { 'preprocessor_config.json': null }),
      code: 'assets_missing',
      says: /preprocessor_config\.json is missing/,
    },
    {
      what: 'no tokenizer',
      load: () => textModel('text', { 'tokenizer.json': null }),
      code: 'assets_missing',
      says: /tokenizer\.json is missing/,
    },
  ])
    test(`${what} is ${code}`, async () => {
      const error = await refusal(load());
      assert.equal(error.code, code);
      assert.match(error.detail, says);
    });

  test('an embedding of length 0 is an error, not a result', async () => {
    const encoder = await imageModel('vision');
    const error = await refusal(encoder.embed(new Float32Array(3 * 32 * 32)));
    assert.equal(error.code, 'internal_error');
  });
});

describe('half precision', () => {
  test('every finite half survives conversion to single precision and back', () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i).filter(
      (half) => (half & 0x7c00) !== 0x7c00 && half !== 0x8000,
    );
    assert.deepEqual(toHalfBits(fromHalfBits(halves)), halves);
  });

  for (const { value, bits } of [
    { value: 1, bits: 0x3c00 },
    { value: -2, bits: 0xc000 },
    { value: 1 + 1 / 2048, bits: 0x3c00 },
    { value: 1 + 3 / 2048, bits: 0x3c02 },
    { value: 65519, bits: 0x7bff },
    { value: 65520, bits: 0x7c00 },
    { value: -1e9, bits: 0xfc00 },
    { value: 2 ** -24, bits: 0x0001 },
    { value: NaN, bits: 0x7e00 },
  ])
    test(`${String(value)} is 0x${bits.toString(16)}`, () => {
      assert.equal(toHalfBits(Float32Array.of(value))[0], bits);
    });
});
