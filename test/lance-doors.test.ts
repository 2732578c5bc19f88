import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lanceLocation } from '../lib/lance/lance-location.ts';
import { importSet } from '../pipeline/lance/import-set.ts';
import { contractCases } from './support/cases.ts';
import { checkCase } from './support/check-case.ts';
import { httpDoor, lambdaDoors } from './support/doors.ts';
import { eventsOf, lanceSkip } from './support/lance.ts';
import { starter } from './support/requests.ts';
import { cleanEnvironment, startServer, type ServerProcess } from './support/server.ts';

/** A table has no features, so that nothing is recognised in pictures. */
const needFeatures = new Set([
  'a cover is identified, with its outline',
  'no album is identified in a picture of none',
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
  });

  for (const [name, door] of Object.entries(lambdaDoors))
    describe(`the built bundles, ${name}`, () => {
      for (const one of cases) test(one.name, () => checkCase(door, one));
    });
});
