import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VarintReader, varintLength, writeVarint } from '../lib/catalog/varint.ts';

test('integers up to 2³² − 1 are read as they were written', () => {
  const values = [7, 14, 21, 28].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);
  values.push(0, 2 ** 31, 2 ** 32 - 1);
  const bytes = new Uint8Array(64);
  let end = 0;
  for (const value of values) {
    const start = end;
    end = writeVarint(bytes, end, value);
    assert.equal(end - start, varintLength(value));
  }
  const reader = new VarintReader(bytes, 0, end);
  assert.deepEqual(
    values.map(() => reader.next()),
    values,
  );
  assert.ok(reader.done);
});
