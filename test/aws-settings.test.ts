import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assets, expected } from './support/aws-expected.ts';
import { at, has, Synthesis } from './support/aws-template.ts';

const made = new Synthesis();

describe('the settings', () => {
  const two = new Synthesis({
    provisionedConcurrency: '{"search-by-image":2}',
    reservedConcurrency: '{"search-by-text":7}',
    tracing: 'true',
  });

  test('provisioned concurrency adds an alias, which the API then invokes', () => {
    assert.equal(made.ofType('Lambda::Alias').length, 0);
    assert.deepEqual(
      two.ofType('Lambda::Alias').map(({ id }) => id),
      ['searchbyimageLive'],
    );
    const { properties: alias } = two.byId('searchbyimageLive');
    has(alias, {
      Name: 'live',
      FunctionName: '<searchbyimageFunction>',
      ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 2 },
    });
    assert.match(
      String(alias['FunctionVersion']),
      /^<searchbyimageFunctionCurrentVersion\w+\.Version>$/,
    );
    const targets = two
      .ofType('ApiGatewayV2::Integration')
      .map((one) => one.properties['IntegrationUri']);
    assert.ok(targets.includes('<searchbyimageLive>'));
    assert.ok(!targets.includes('<searchbyimageFunction.Arn>'));
    assert.equal(targets.length, expected.length);
    assert.ok(
      two
        .ofType('Lambda::Permission')
        .some((one) => one.properties['FunctionName'] === '<searchbyimageLive>'),
    );
  });

  test('reserved concurrency is set per function, and can be turned off for accounts with a low limit', () => {
    const reserved = (name: string, synthesis: Synthesis) =>
      synthesis.functionNamed(name).properties['ReservedConcurrentExecutions'];
    assert.equal(reserved('search-by-text', two), 7);
    assert.equal(reserved('search-by-image', two), 50);
    const none = new Synthesis({ reservedConcurrency: 'off' });
    for (const { name } of expected) assert.equal(reserved(name, none), undefined);
  });

  test('tracing is off by default', () => {
    for (const { name } of expected) {
      assert.equal(at(made.functionNamed(name), 'TracingConfig'), undefined);
      assert.deepEqual(at(two.functionNamed(name), 'TracingConfig'), { Mode: 'Active' });
      assert.ok(two.allowed(name).includes('xray:PutTelemetryRecords+xray:PutTraceSegments on *'));
    }
    assert.deepEqual(two.findings, []);
  });

  test('throttling, origins, keys, retention, log level and prefix are applied', () => {
    const other = new Synthesis({
      throttleRate: '5',
      throttleBurst: '9',
      corsOrigins: 'https://a.example,https://b.example',
      logRetentionDays: '7',
      logLevel: 'debug',
      assetsPrefix: 'sets/2024-06',
      apiKeys: `alice:${'0a'.repeat(32)}`,
    });
    has(at(other.byId('EntranceStage'), 'DefaultRouteSettings'), {
      ThrottlingRateLimit: 5,
      ThrottlingBurstLimit: 9,
    });
    const origins = ['https://a.example', 'https://b.example'];
    assert.deepEqual(at(other.byId('EntranceApi'), 'CorsConfiguration', 'AllowOrigins'), origins);
    const [cors] = at(other.byId('BucketsUploads'), 'CorsConfiguration', 'CorsRules') as object[];
    has(cors, { AllowedOrigins: origins });
    const groups = other.ofType('Logs::LogGroup');
    assert.equal(groups.length, expected.length + 1);
    for (const group of groups) assert.equal(group.properties['RetentionInDays'], 7);
    has(at(other.functionNamed('stats'), 'Environment', 'Variables'), {
      LOG_LEVEL: 'debug',
      API_KEYS: `alice:${'0a'.repeat(32)}`,
      ASSETS_URI: 's3://<BucketsAssets>/sets/2024-06',
    });
    const reads = other.allowed('stats').join();
    assert.ok(reads.includes(`${assets}/sets/2024-06/models/album_covers.index`), reads);
    assert.deepEqual(other.findings, []);
  });

  test('a LanceDB table is read below the prefix by what reads the index', () => {
    const other = new Synthesis({ lance: 'true', assetsPrefix: 'v2' });
    has(at(other.functionNamed('search-by-text'), 'Environment', 'Variables'), {
      CATALOG_URI: 'lance+s3://<BucketsAssets>/v2/table',
    });
    const allowed = other.allowed('search-by-text').join();
    assert.ok(allowed.includes(`${assets}/v2/table/*`), allowed);
    assert.ok(!made.allowed('search-by-text').join().includes('table'));
    assert.deepEqual(other.findings, []);
  });

  for (const { given, says } of [
    {
      given: { architecture: 'mips' },
      says: /arm64 or x86_64 for architecture but received "mips"/,
    },
    {
      given: { logRetentionDays: '2' },
      says: /one of 1, 3, 5, 7, .* for logRetentionDays but received "2"/,
    },
    { given: { apiKeys: 'alice' }, says: /entry 1 of apiKeys, .* two parts separated by a colon/ },
    { given: { throttleRate: '0' }, says: /from 1 to 10000 for throttleRate but received "0"/ },
    { given: { assetsPrefix: '/v1/' }, says: /for assetsPrefix but received "\/v1\/"/ },
    { given: { corsOrigins: 'example.org' }, says: /list of origins for corsOrigins/ },
    {
      given: { provisionedConcurrency: '{"searches":2}' },
      says: /functions: root, .* for provisionedConcurrency/,
    },
    { given: { provisionedConcurrency: '{"stats":200}' }, says: /at most 20, .* but received 200/ },
    { given: { reservedConcurrency: 'none' }, says: /off, or JSON .* but received "none"/ },
    { given: { domainName: 'albums.example.org' }, says: /domainName and certificateArn together/ },
    { given: { alarmEmail: 'ops' }, says: /an e-mail address for alarmEmail but received "ops"/ },
    {
      given: { certificateArn: 'arn:aws:acm:eu-west-1:123456789012:certificate/0a' },
      says: /in us-east-1/,
    },
  ])
    test(`${JSON.stringify(given)} is refused`, () => {
      assert.throws(() => new Synthesis(given), says);
    });
});
