import { defineConfig } from 'eslint/config';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

/** Imports that must never exist, by folder: who may not reach where. */
const zones = [
  { target: ['lib', 'pipeline', 'infra', 'cli', 'bench', 'tools'], from: 'functions' },
  { target: ['lib', 'pipeline', 'infra', 'functions', 'bench', 'tools'], from: 'cli' },
  ...['lib', 'functions', 'web'].map((target) => ({ target, from: 'pipeline' })),
  ...['infra', 'web', 'test', 'bench', 'tools'].map((from) => ({
    target: ['lib', 'pipeline'],
    from,
  })),
  ...['functions', 'infra', 'cli'].map((target) => ({ target, from: 'tools' })),
  ...['clip', 'vectors', 'catalog'].flatMap((part) =>
    ['clip', 'vectors', 'catalog', 'search', 'http']
      .filter((other) => other !== part)
      .map((other) => ({ target: `lib/${part}`, from: `lib/${other}` })),
  ),
  ...['clip', 'vectors', 'catalog', 'search', 'http'].map((part) => ({
    target: 'lib/identify',
    from: `lib/${part}`,
  })),
  { target: 'lib/search', from: 'lib/http' },
  ...['functions', 'infra', 'cli', 'test', 'bench', 'tools'].map((from) => ({
    target: 'web',
    from,
  })),
];

/** Packages that only one place may import. */
const onlyIn = [
  {
    packages: ['express', 'express-rate-limit', 'cors', 'busboy', 'serverless-http'],
    files: ['lib/http/**'],
  },
  { packages: ['sharp'], files: ['lib/imaging/raster.ts'] },
  { packages: ['onnxruntime-node'], files: ['lib/clip/onnx.ts'] },
  { packages: ['faiss-node'], files: ['lib/vectors/vector-index.ts'] },
  { packages: ['@lancedb/lancedb'], files: ['lib/lance/lance.ts'] },
  { packages: ['@huggingface/hub'], files: ['pipeline/sync/hub-remote.ts'] },
  {
    packages: ['undici'],
    files: ['pipeline/sync/retrying-fetch.ts', 'pipeline/csv-import/public-fetch.ts'],
  },
  { packages: ['@aws-sdk/client-s3', '@aws-sdk/lib-storage'], files: ['lib/assets/s3.ts'] },
];

const restricted = (except) => [
  'error',
  {
    paths: onlyIn
      .filter((rule) => rule !== except)
      .flatMap(({ packages, files }) =>
        packages.map((name) => ({ name, message: `Only ${files.join(', ')} may import ${name}.` })),
      ),
  },
];

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'coverage/', 'models/', 'images/', '**/cdk.out/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { 'import-x': importX },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'describe', 'suite', 'it'] },
          ],
        },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'import-x/no-restricted-paths': [
        'error',
        {
          basePath: import.meta.dirname,
          zones: zones.flatMap(({ target, from }) =>
            [target].flat().map((one) => ({ target: one, from })),
          ),
        },
      ],
      'import-x/no-cycle': 'error',
    },
    settings: {
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.mjs', '.js'] })],
    },
  },
  {
    // What sees foreign bytes takes time in proportion to them: no expression that goes back over them again and again.
    files: [
      'lib/**/*.ts',
      'pipeline/**/*.ts',
      'functions/**/*.ts',
      'infra/**/*.{ts,mjs}',
      'cli/**/*.{ts,mjs}',
      'web/**/*.ts',
    ],
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }],
    },
  },
  {
    files: ['lib', 'pipeline', 'functions', 'infra', 'cli'].map((folder) => `${folder}/**/*.ts`),
    rules: { 'no-restricted-imports': restricted() },
  },
  ...onlyIn.map((rule) => ({
    files: rule.files,
    rules: { 'no-restricted-imports': restricted(rule) },
  })),
  {
    // The page talks to the service over HTTP: of its sources it may know the types, and only those.
    files: ['web/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ group: ['**/lib/**'], allowTypeImports: true, message: 'Types only.' }] },
      ],
    },
  },
  {
    files: ['lib/**/*.ts', 'pipeline/**/*.ts', 'functions/**/*.ts'],
    ignores: ['lib/config/config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Only lib/config/config.ts reads the environment.',
        },
      ],
    },
  },
);
