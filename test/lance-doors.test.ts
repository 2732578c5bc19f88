import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lanceLocation } from '../lib/lance/lance-location.ts';
import { importSet } from '../pipeline/lance/import-set.ts';
import { contractCases, json } from './support/cases.ts';
import { checkCase } from './support/check-case.ts';
import { httpDoor, lambdaDoors } from './support/doors.ts';
import { eventsOf, lanceSkip } from './support/lance.ts';
import { get, starter, starterIds } from './support/requests.ts';
import { cleanEnvironment, startServer, type ServerProcess } from './support/server.ts';

/** A table has no features, so that nothing is recognised in pictures. */
const needFeatures = new Set([
  'a cover is identified, with its outline',
  'no album is identified in a picture of none',
  'GET /health tells what is loaded',
]);

const cases = (await contractCases()).filter(({ name }) => !needFeatures.has(name));
const dir = mkdtempSync(join(tmpdir(), 'lance-doors-'));
const catalogUri = `lance://${dir}`;
const { env, remove } = cleanEnvironment();
Object.assign(process.env, env, { LOG_LEVEL: 'silent', CATALOG_URI: catalogUri });
process.on('exit', () => {
  remove();
  rmSync(dir, { recursive: true, force: true });
});

describe('the starter set in a LanceDB table', { skip: lanceSkip }, () => {
  before(() =>
    eventsOf(
      importSet({
        dir: dirname(starter.indexPath),
        location: lanceLocation(catalogUri, { endpoint: undefined, pathStyle: false }),
      }),
    ),
  );

  describe('a real server', () => {
    let server: ServerProcess;
    before(async () => (server = await startServer({ CATALOG_URI: catalogUri })));
    after(() => server.stop());
    for (const one of cases) test(one.name, () => checkCase(httpDoor(server.url), one));
    test('GET /health tells what is loaded, and that nothing is recognised', async () => {
      const body = json(await httpDoor(server.url)(get('/health')));
      assert.equal(body['identification'], false);
      assert.equal(body['albums_indexed'], starterIds().length);
      const loaded = { image_encoder: true, text_encoder: true, index: true, catalog: true };
      assert.deepEqual(body['models_loaded'], loaded);
      assert.deepEqual(body['catalog_issues'], []);
    });
  });

  for (const [name, door] of Object.entries(lambdaDoors))
    describe(`the built bundles, ${name}`, () => {
      for (const one of cases) test(one.name, () => checkCase(door, one));
    });
});
