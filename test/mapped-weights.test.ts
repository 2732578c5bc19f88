import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createImageEncoder } from '../lib/clip/image-encoder.ts';
import { referToWeights } from '../lib/clip/mapped-weights.ts';
import { OnnxGraph } from '../lib/clip/onnx.ts';

const starter = fileURLToPath(new URL('../models/starter/', import.meta.url));
const graphPath = join(starter, 'onnx', 'vision_model.onnx');

const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...varint(Math.floor(value / 0x80))];
/** A length-delimited field of a protobuf message. */
const message = (number: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([
    Buffer.from([...varint(number * 8 + 2), ...varint(content.length)]),
    content,
  ]);
};
const scalar = (number: number, value: number): Buffer =>
  Buffer.from([...varint(number * 8), ...varint(value)]);
const text = (number: number, value: string): Buffer => message(number, Buffer.from(value));

/** float32 [1, 1500] as an initialiser. @param behind fields that follow the weights */
const weights = (values: Float32Array, ...behind: Buffer[]): Buffer =>
  Buffer.concat([
    ...[scalar(1, 1), scalar(1, values.length), scalar(2, 1), text(8, 'weights')],
    message(9, Buffer.from(values.buffer)),
    ...behind,
  ]);

/** A graph that adds the initialiser `weights` to its input `pixel_values`, [1, n]. */
function addingGraph(initialiser: Buffer, n: number): Buffer {
  const dimensions = [1, n].map((size) => message(1, scalar(1, size)));
  const valueInfo = (name: string) =>
    Buffer.concat([text(1, name), message(2, message(1, scalar(1, 1), message(2, ...dimensions)))]);
  const node = [
    text(1, 'pixel_values'),
    text(1, 'weights'),
    text(2, 'image_embeds'),
    text(4, 'Add'),
  ];
  const graph = message(
    7,
    ...[message(1, ...node), text(2, 'adds'), message(5, initialiser)],
    ...[message(11, valueInfo('pixel_values')), message(12, valueInfo('image_embeds'))],
  );
  return Buffer.concat([scalar(1, 8), graph, message(8, scalar(2, 17))]);
}

describe('an ONNX graph whose weights are mapped', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mapped weights ö-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const values = Float32Array.from({ length: 1500 }, (_, i) => Math.fround(Math.sin(i)));
  const contract = { required: 'pixel_values', axes: 2, optional: [], output: 'image_embeds' };
  const added = async (path: string): Promise<Float32Array> => {
    const graph = await OnnxGraph.open(path, contract);
    const input = { kind: 'float', values: new Float32Array(1500), shape: [1, 1500] } as const;
    const output = await graph.run({ pixel_values: input });
    await graph.release();
    return output.values;
  };

  test('is read without them, and each refers to its place in the file', async () => {
    const graph = referToWeights(graphPath)?.graph;
    assert.ok(graph && graph.length < 40_000, String(graph?.length));
    assert.ok((await stat(graphPath)).size > 1_000_000);
    assert.ok(graph.includes('vision_model.onnx'));
  });

  for (const [what, behind] of [
    ['nothing after the weights', []],
    ['the default data location after the weights', [scalar(14, 0)]],
    ['an unknown field after the weights', [message(99, Buffer.alloc(300))]],
  ] as const)
    test(`gives the same numbers with ${what}`, async () => {
      const path = join(folder, 'graph ü.onnx');
      await writeFile(path, addingGraph(weights(values, ...behind), values.length));
      assert.match(referToWeights(path)?.graph.toString('latin1') ?? '', /location/);
      assert.deepEqual(await added(path), values);
    });

  test('is found behind a symbolic link to another folder', async () => {
    const blobs = join(folder, 'blobs');
    await mkdir(blobs);
    await writeFile(join(blobs, 'b10b'), addingGraph(weights(values), values.length));
    const path = join(folder, 'link.onnx');
    await symlink(join('blobs', 'b10b'), path);
    assert.ok(referToWeights(path));
    assert.deepEqual(await added(path), values);
  });

  test('is loaded by its path if other weights of it are external', async () => {
    const path = join(folder, 'external.onnx');
    const location = message(13, text(1, 'location'), text(2, 'weights.bin'));
    const elsewhere = Buffer.concat([
      ...[scalar(1, 1), scalar(1, values.length), scalar(2, 1), text(8, 'weights'), location],
      scalar(14, 1),
    ]);
    await writeFile(join(folder, 'weights.bin'), Buffer.from(values.buffer));
    await writeFile(path, addingGraph(elsewhere, values.length));
    assert.equal(referToWeights(path), null);
    assert.deepEqual(await added(path), values);
  });

  test('is loaded as it is if all its tensors are small', async () => {
    const path = join(folder, 'small.onnx');
    await writeFile(path, addingGraph(weights(values.slice(0, 1000)), 1000));
    assert.equal(referToWeights(path), null);
  });

  test('is left to ONNX Runtime if it is truncated at any place, or not a graph', async () => {
    const whole = await readFile(graphPath);
    const path = join(folder, 'truncated.onnx');
    for (let i = 0; i < 200; i += 1) {
      const length = Math.floor((i * whole.length) / 200) + (i % 7);
      await writeFile(path, whole.subarray(0, length));
      assert.equal(referToWeights(path), null, `after ${String(length)} bytes`);
    }
    for (const bytes of [
      '',
      '<html>',
      'version https://git-lfs.github.com/spec/v1\n',
      '\xff'.repeat(99),
    ]) {
      await writeFile(path, bytes, 'latin1');
      assert.equal(referToWeights(path), null, bytes);
    }
  });

  test('claiming a tensor of more bytes than the file has is refused', async () => {
    const path = join(folder, 'claims.onnx');
    const sound = addingGraph(weights(values), values.length);
    const at = sound.indexOf(Buffer.from([9 * 8 + 2, ...varint(6000)]));
    sound[at + 2] = 0x7f; // 16,240 bytes
    await writeFile(path, sound);
    await assert.rejects(OnnxGraph.open(path, contract), { code: 'model_unreadable' });
  });

  test('can be replaced beside it while it is in use: the loaded model keeps its weights', async () => {
    const modelDir = join(folder, 'model');
    await cp(starter, modelDir, { recursive: true });
    const cover = await readFile(join(starter, 'catalog', 'images', 'album_0.jpg')).catch(() =>
      readFile(join(starter, 'catalog', 'images', 'album_1.jpg')),
    );
    const encoder = await createImageEncoder({ modelDir });
    const before = await encoder.encode(cover);
    await rm(join(modelDir, 'onnx', 'vision_model.onnx'));
    await writeFile(join(modelDir, 'onnx', 'vision_model.onnx'), 'another');
    assert.deepEqual(await encoder.encode(cover), before);
    await encoder.dispose();
  });
});
