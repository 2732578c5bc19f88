/* native/faiss: calls that lib/vectors/vector-index.ts never makes, and the release of memory. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import faiss, { type Index } from 'faiss-node';

const innerProduct = 0;
const make = (): Index => {
  const index = faiss.Index.fromFactory(4, 'Flat', innerProduct);
  index.add(Float32Array.of(1, 0, 0, 0, 0, 2, 0, 0));
  return index;
};

describe('an invalid call throws', () => {
  const query = Float32Array.of(1, 0, 0, 0);
  for (const [what, name, message, call] of [
    [
      'no argument',
      'Error',
      'Expected 1 to 2 arguments, but got 0.',
      () => faiss.Index.open(...([] as unknown as [string])),
    ],
    ['no path', 'TypeError', 'Expected a string.', () => faiss.Index.open(1 as never)],
    [
      'a constructor',
      'TypeError',
      /^Create an index with Index\.open or Index\.fromFactory\.$/,
      () => new faiss.Index(4),
    ],
    [
      'an unknown type',
      'Error',
      /could not parse/,
      () => faiss.Index.fromFactory(4, 'Nothing', innerProduct),
    ],
    [
      'an unserved metric',
      'Error',
      /^not served: an index of another metric/,
      () => faiss.Index.fromFactory(4, 'Flat', 2),
    ],
    [
      'vectors in an array',
      'TypeError',
      'Expected vectors as a Float32Array.',
      () => {
        make().add([1, 0, 0, 0]);
      },
    ],
    [
      'a vector of another length',
      'Error',
      'Invalid the given array length.',
      () => {
        make().add(new Float32Array(3));
      },
    ],
    [
      'no number of results',
      'TypeError',
      'Expected a number.',
      () => make().nearest(query, '1' as never),
    ],
    [
      'rows of another kind',
      'TypeError',
      'Expected rows as a Uint32Array.',
      () => make().nearest(query, 1, [0] as never),
    ],
    [
      'a row beyond',
      'RangeError',
      'Row 2 is out of range.',
      () => make().nearest(query, 1, Uint32Array.of(0, 2)),
    ],
    [
      'too few bits',
      'RangeError',
      'Expected a bit for each of 2 rows.',
      () => make().nearest(query, 1, Uint8Array.of(1)),
    ],
    [
      'the length of a row beyond',
      'RangeError',
      'Row 2 is out of range.',
      () => make().lengths(Uint32Array.of(2)),
    ],
    [
      'the vector of a row beyond',
      'RangeError',
      'Expected a row of 0 to 1.',
      () => make().reconstruct(2),
    ],
    [
      'an id that is none',
      'TypeError',
      /^Expected a Number as array item\. \(at: 1\)$/,
      () => make().removeIds([0, 'a' as never]),
    ],
  ] as const)
    test(what, () =>
      assert.rejects(
        async () => {
          await call();
        },
        { name, message },
      ),
    );
});

test('a disposed index is empty, and may be disposed of again', () => {
  const index = make();
  index.dispose();
  index.dispose();
  assert.throws(() => index.ntotal(), /^Error: The index is empty: it was disposed of\.$/);
});

test('ids are removed, and later rows move up', () => {
  const index = make();
  assert.equal(index.removeIds([0, 7]), 1);
  assert.deepEqual(index.reconstruct(0), Float32Array.of(0, 2, 0, 0));
});

test('unreferenced indexes are garbage-collected before they fill the memory', async () => {
  const vectors = new Float32Array(2 ** 22);
  const before = process.memoryUsage.rss();
  let most = 0;
  for (let i = 0; i < 60; i += 1) {
    faiss.Index.fromFactory(512, 'Flat', innerProduct).add(vectors);
    await new Promise(setImmediate);
    most = Math.max(most, process.memoryUsage.rss() - before);
  }
  assert.ok(most < 500e6, `${String(most)} bytes of ${String(60 * vectors.byteLength)}`);
});
