import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadConfig } from '../lib/config/config.ts';
import { errorCodes } from '../lib/errors.ts';
import { endpoints, openApiDocument } from '../lib/http/openapi.ts';
import { frameAncestors, pagePolicy } from '../lib/http/page-policy.ts';
import { problems } from '../lib/http/problem.ts';
import { root } from './support/requests.ts';

const read = (name: string) => readFileSync(join(root, name), 'utf8');

const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'tools/starter-model/README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** The anchors that GitHub derives from a document's headings. */
const anchorsOf = (text: string) =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

describe('the documentation matches the code', () => {
  test('docs/errors.md lists exactly the error codes, each with its status and title', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `(\w+)` +\| (\d{3}) +\| (.+?) *\|/gm)];
    assert.deepEqual(
      rows.map(([, code, status, title]) => ({ code, status: Number(status), title })),
      errorCodes.map((code) => ({ code, ...problems[code] })),
    );
  });

  test('the OpenAPI document describes exactly the endpoints', () => {
    const { paths } = openApiDocument(loadConfig({}));
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(described.sort(), [...endpoints].sort());
  });

  test('every reference in the OpenAPI document resolves', () => {
    const document = openApiDocument(loadConfig({}));
    const references = JSON.stringify(document).matchAll(
      /"\$ref":"#\/components\/schemas\/(\w+)"/g,
    );
    for (const [, name] of references)
      assert.ok(name !== undefined && name in document.components.schemas, name);
  });

  for (const endpoint of endpoints)
    for (const name of ['README.md', 'docs/api.md'])
      test(`${name} has a section on ${endpoint}`, () => {
        assert.ok(read(name).includes(`### \`${endpoint}\``));
      });

  test('the README has at most 300 lines', () => {
    assert.ok(read('README.md').trimEnd().split('\n').length <= 300);
  });

  test('docs/configuration.md lists exactly the environment variables', () => {
    const schema = read('lib/config/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+): /gm);
    const table = read('docs/configuration.md').matchAll(/^\| `([A-Z][A-Z_]+)` +\|/gm);
    assert.deepEqual(
      [...table].map(([, name]) => name),
      [...schema].map(([, name]) => name),
    );
  });

  test("docs/page.md quotes the page's policy as it is sent", () => {
    const text = read('docs/page.md').replace(/\s+/g, ' ');
    assert.ok(text.includes(pagePolicy(frameAncestors)));
  });

  for (const name of documents)
    test(`every local link in ${name} points to an existing file and heading`, () => {
      for (const [, path = '', anchor] of read(name).matchAll(
        /\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g,
      )) {
        const target = path === '' ? name : join(name, '..', path);
        assert.ok(existsSync(join(root, target)), target);
        if (anchor !== undefined)
          assert.ok(anchorsOf(read(target)).includes(anchor), `${target}#${anchor}`);
      }
    });

  test('docs/README.md lists every other document', () => {
    for (const name of documents.filter((one) => /^docs\/(?!README)/.test(one)))
      assert.ok(read('docs/README.md').includes(`](${name.replace('docs/', '')})`), name);
  });
});
