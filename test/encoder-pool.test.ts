import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { EncoderPool, type EncoderPoolOptions } from '../lib/clip/encoder-pool.ts';
import { isAppError } from '../lib/errors.ts';
import { featuresOfGrey } from '../lib/identify/features.ts';
import { decodeForModelAndGrey } from '../lib/imaging/raster.ts';
import { json } from './support/cases.ts';
import { httpDoor } from './support/doors.ts';
import { coverFile, get, root, starterIds, upload } from './support/requests.ts';
import { startServer } from './support/server.ts';

const modelDir = join(root, 'models', 'starter');
const covers = starterIds().slice(0, 9).map(coverFile);
const texts = [
  'star',
  'a red circle',
  'a dark forest at night with stars over it and a lake before it',
  'blue stripes',
  'nine words are more tokens than the others have',
  'x',
];

const withPool = async (
  options: Omit<EncoderPoolOptions, 'modelDir'>,
  work: (pool: EncoderPool, batches: number[]) => Promise<void>,
) => {
  const batches: number[] = [];
  const pool = await EncoderPool.open({
    modelDir,
    onBatch: ({ waitedMs }) => batches.push(waitedMs.length),
    ...options,
  });
  try {
    await work(pool, batches);
  } finally {
    await pool.close();
  }
};

const cosine = (a: Float32Array, b: Float32Array | undefined): number =>
  a.reduce((sum, value, i) => sum + value * (b?.[i] ?? NaN), 0);

describe('a pool of encoders', () => {
  for (const [tower, queries] of [
    ['vision', covers],
    ['text', texts],
  ] as const)
    test(`${tower}: waiting inputs are encoded in one batch, with the same embeddings as alone`, async () => {
      await withPool({ tower, workers: 1 }, async (pool, batches) => {
        const alone: Float32Array[] = [];
        for (const query of queries) alone.push(await pool.encode(query));
        assert.deepEqual(new Set(batches.splice(0)), new Set([1]));
        const together = await Promise.all(queries.map((query) => pool.encode(query)));
        // The first one finds the worker idle; the others queue up and form the next batch.
        assert.deepEqual(
          batches.slice(0, 2),
          [1, Math.min(8, queries.length - 1)],
          JSON.stringify(batches),
        );
        for (const [i, embedding] of together.entries())
          assert.ok(
            cosine(embedding, alone[i]) > 1 - 1e-4,
            `${String(i)}: ${String(cosine(embedding, alone[i]))}`,
          );
      });
    });

  test('a photo gets features along with its embedding, whatever else is in the batch', async () => {
    await withPool({ tower: 'vision', workers: 1 }, async (pool) => {
      const amount = { side: 300, features: 50 };
      const frame = { size: 128, crop: 128, resize: 'shortest-edge' } as const; // the starter model's
      const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = covers;
      const alone = await pool.encode(second);
      const [outcomes, { grey }] = await Promise.all([
        pool.encodeBatch([
          first,
          { picture: second, amount },
          { picture: Buffer.from('no picture'), amount },
        ]),
        decodeForModelAndGrey(second, { frame, side: amount.side }),
      ]);
      const [plain, photo, bad] = outcomes;
      assert.ok(plain instanceof Float32Array);
      assert.ok(photo && 'features' in photo);
      assert.ok(cosine(alone, photo.embedding) > 1 - 1e-4);
      assert.deepEqual(photo.features, await featuresOfGrey(grey, amount.features));
      assert.ok(bad && 'message' in bad);
      assert.equal(bad.code, 'not_an_image');
    });
  });

  test('an unreadable picture fails only its own request', async () => {
    await withPool({ tower: 'vision', workers: 1 }, async (pool) => {
      const outcomes = await Promise.allSettled(
        [covers[0], Buffer.from('no picture'), covers[1]].map((one) => pool.encode(one ?? '')),
      );
      assert.deepEqual(
        outcomes.map((one) =>
          one.status === 'rejected' && isAppError(one.reason) ? one.reason.code : one.status,
        ),
        ['fulfilled', 'not_an_image', 'fulfilled'],
      );
    });
  });

  test('a request aborted while queued is not encoded, and those behind it move up', async () => {
    await withPool({ tower: 'vision', workers: 1 }, async (pool, batches) => {
      const leaving = new AbortController();
      const first = pool.encode(covers[0] ?? '');
      const left = pool.encode(covers[1] ?? '', leaving.signal);
      const last = pool.encode(covers[2] ?? '');
      assert.equal(pool.waiting, 2);
      leaving.abort(new Error('the client left'));
      assert.equal(pool.waiting, 1);
      await assert.rejects(left, /the client left/);
      await Promise.all([first, last]);
      assert.deepEqual(batches, [1, 1]);
    });
  });

  test('a missing model is reported, and no worker is left running', async () => {
    await assert.rejects(
      EncoderPool.open({ tower: 'vision', modelDir: join(root, 'docs') }),
      (error) => isAppError(error) && error.code === 'assets_missing',
    );
  });
});

describe('a worker that dies while encoding', () => {
  const serveEnding = async (
    t: TestContext,
    { how, times }: { how: 'exit' | 'throw' | 'memory'; times: number },
  ) => {
    const folder = await mkdtemp(join(tmpdir(), 'ending-'));
    const file = join(folder, 'ending.json');
    const server = await startServer({
      NODE_OPTIONS: `--require=${join(root, 'test', 'support', 'ending-worker.cjs')}`,
      ENDING: file,
    });
    t.after(async () => {
      await server.stop();
      await rm(folder, { recursive: true });
    });
    const door = httpDoor(server.url);
    await writeFile(file, JSON.stringify({ how, times }));
    return {
      server,
      ask: (id: number) => door(upload(coverFile(id), '?k=1')),
      file,
      say: (words: string) => door(get(`/api/search-by-text?query=${words}&k=1`)),
    };
  };

  for (const how of ['exit', 'throw', 'memory'] as const)
    test(`by ${how}: its searches are retried once, and none is lost`, async (t) => {
      const { server, ask } = await serveEnding(t, { how, times: 1 });
      const ids = starterIds().slice(0, 12);
      const answers = await Promise.all(ids.map(ask));
      for (const [i, answer] of answers.entries()) {
        assert.equal(answer.status, 200, answer.body.toString());
        assert.equal(
          json<{ results: { album_id: number }[] }>(answer).results[0]?.album_id,
          ids[i],
        );
      }
      assert.ok(
        server.log.some(
          (line) => line['tower'] === 'vision' && line.msg.includes('ended unexpectedly'),
        ),
      );
    });

  test('twice: 503 with Retry-After, and the next search is answered', async (t) => {
    const { ask, say } = await serveEnding(t, { how: 'exit', times: 2 });
    const [id = 0] = starterIds();
    const answer = await ask(id);
    assert.equal(answer.status, 503);
    assert.equal(json(answer)['code'], 'encoder_lost');
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal((await ask(id)).status, 200);
    assert.equal((await say('star')).status, 200);
  });

  test('and cannot be replaced: 503 at once, until it can be', async (t) => {
    const { ask, file } = await serveEnding(t, { how: 'exit', times: 2 });
    await writeFile(`${file}.start`, '');
    const ids = starterIds().slice(0, 6);
    const refused = await Promise.all(ids.map(ask));
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([503]));
    await rm(`${file}.start`);
    await writeFile(file, '{"times":0}');
    for (const id of ids) assert.equal((await ask(id)).status, 200);
  });
});
