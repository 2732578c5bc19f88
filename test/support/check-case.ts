import assert from 'node:assert/strict';
import { json, type Case } from './cases.ts';
import type { Door } from './doors.ts';

/** Sends a case's request through a door and checks the answer. */
export const checkCase = async (
  door: Door,
  { request, status, code, detail, check: more }: Case,
) => {
  const response = await door(request);
  assert.equal(response.status, status, response.body.subarray(0, 500).toString());
  assert.ok(response.headers['x-request-id'], 'the response carries a request id');
  if (code !== undefined) {
    assert.match(response.headers['content-type'] ?? '', /^application\/problem\+json/);
    const problem = json(response);
    assert.equal(problem['code'], code);
    assert.equal(problem['status'], status);
    assert.equal(problem['request_id'], response.headers['x-request-id']);
    assert.match(String(problem['detail']), detail ?? /./);
    assert.equal(response.headers['cache-control'], 'no-store');
    for (const ofContent of ['etag', 'last-modified'])
      assert.equal(response.headers[ofContent], undefined, ofContent);
    assert.match(String(problem['detail']), /^[^\n]{10,400}$/, 'one sentence, no stack');
  }
  more?.(response);
};
