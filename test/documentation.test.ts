import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadConfig } from '../lib/config.ts';
import { errorCodes } from '../lib/errors.ts';
import { endpoints, openApiDocument } from '../lib/http/openapi.ts';
import { frameAncestors, pagePolicy } from '../lib/http/page-policy.ts';
import { problems } from '../lib/http/problem.ts';
import { root } from './support/requests.ts';

const read = (name: string) => readFileSync(join(root, name), 'utf8');
const readme = read('README.md');

describe('what the documents say is what the code does', () => {
  test('docs/errors.md has every code with its status and title, and no other', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `(\w+)` +\| (\d{3}) +\| (.+?) *\|/gm)];
    assert.deepEqual(
      rows.map(([, code, status, title]) => ({ code, status: Number(status), title })),
      errorCodes.map((code) => ({ code, ...problems[code] })),
    );
  });

  test('the OpenAPI document describes every endpoint, and no other', () => {
    const { paths } = openApiDocument(loadConfig({}));
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(described.sort(), [...endpoints].sort());
  });

  test('every reference in the OpenAPI document leads somewhere', () => {
    const document = openApiDocument(loadConfig({}));
    const references = JSON.stringify(document).matchAll(
      /"\$ref":"#\/components\/schemas\/(\w+)"/g,
    );
    for (const [, name] of references)
      assert.ok(name !== undefined && name in document.components.schemas, name);
  });

  for (const endpoint of endpoints)
    test(`the README has a section on ${endpoint}`, () => {
      assert.ok(readme.includes(`### \`${endpoint}\``));
    });

  test("the README's table has every variable of the environment, and no other", () => {
    const schema = read('lib/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+): /gm);
    const table = readme.matchAll(/^\| `([A-Z][A-Z_]+)` +\|/gm);
    assert.deepEqual(
      [...table].map(([, name]) => name),
      [...schema].map(([, name]) => name),
    );
  });

  test("docs/page.md has the page's policy as it is sent", () => {
    const text = read('docs/page.md').replace(/\s+/g, ' ');
    assert.ok(text.includes(pagePolicy(frameAncestors)));
  });

  test('every local link in README and docs leads to a file', () => {
    for (const name of [
      'README.md',
      'CHANGELOG.md',
      'docs/errors.md',
      'docs/architecture.md',
      'docs/page.md',
    ])
      for (const [, target = ''] of read(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        assert.ok(existsSync(join(root, name, '..', target)), `${name}: ${target}`);
  });
});
