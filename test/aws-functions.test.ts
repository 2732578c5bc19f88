import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { endpoints } from '../infra/aws/endpoints.ts';
import { clipDtypes, towerFiles } from '../lib/clip/model-files.ts';
import { assets, expected } from './support/aws-expected.ts';
import { at, has, statements, Synthesis } from './support/aws-template.ts';
import { copiedFor } from './support/dockerfile.ts';
import { root } from './support/requests.ts';

const made = new Synthesis();

/** Whether a pattern, which may end in a wildcard, matches a key. */
const covers = (pattern: string, key: string) =>
  pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern;

describe('the image', () => {
  test("it is the Dockerfile's runtime stage, for arm64", () => {
    has(made.image, { dockerBuildTarget: 'runtime', platform: 'linux/arm64' });
  });

  test('all functions run it, on arm64', () => {
    const all = made.ofType('Lambda::Function');
    assert.equal(all.length, expected.length);
    for (const one of all) {
      assert.equal(one.properties['PackageType'], 'Image');
      assert.deepEqual(one.properties['Architectures'], ['arm64']);
    }
    const [uri, ...others] = new Set(all.map((one) => at(one, 'Code', 'ImageUri')));
    assert.match(String(uri), /container-assets.*:[0-9a-f]{64}$/);
    assert.deepEqual(others, []);
  });

  test('its build context contains the code, and nothing large, private or irrelevant', () => {
    const folder = join(made.outdir, made.image.directory);
    const copied = copiedFor('runtime');
    assert.ok(copied.includes('package.json') && copied.includes('lib'), copied.join(' '));
    for (const name of copied.filter((source) => existsSync(join(root, source))))
      assert.ok(existsSync(join(folder, name)), `${name} is copied by the Dockerfile`);
    const unwanted =
      '.git .ci node_modules images dist test bench docs tools infra/aws models/starter/catalog/index README.md';
    for (const name of unwanted.split(' ')) assert.ok(!existsSync(join(folder, name)), name);
    const models = existsSync(join(folder, 'models')) ? readdirSync(join(folder, 'models')) : [];
    assert.deepEqual(
      models.filter((name) => name !== 'starter'),
      [],
    );
  });

  test('architecture=x86_64 changes both the image and the functions', () => {
    const other = new Synthesis({ architecture: 'x86_64' });
    assert.equal(other.image.platform, 'linux/amd64');
    for (const one of other.ofType('Lambda::Function'))
      assert.deepEqual(one.properties['Architectures'], ['x86_64']);
  });
});

describe('the functions', () => {
  test('the table of functions lists the same functions as this test', () => {
    assert.deepEqual(
      endpoints.map(({ name }) => name),
      expected.map(({ name }) => name),
    );
  });

  test('every entry point in functions/ except the server is deployed, and nothing else', () => {
    const entryPoints = readdirSync(join(root, 'functions'))
      .map((file) => file.replace(/\.ts$/, ''))
      .filter((name) => name !== 'server');
    assert.deepEqual(entryPoints.sort(), endpoints.map(({ name }) => name).sort());
  });

  for (const [tower, name] of [
    ['vision', 'search-by-image'],
    ['text', 'search-by-text'],
  ] as const)
    test(`${name} may read the model files that the service loads, for every dtype`, () => {
      const readable = made
        .allowed(name)
        .filter((line) => line.startsWith(`s3:GetObject on ${assets}`))
        .flatMap((line) => line.split(' '))
        .map((key) => key.replace(`${assets}/v1/models/`, ''));
      for (const dtype of clipDtypes)
        for (const file of towerFiles([], tower, dtype))
          assert.ok(
            readable.some((key) => covers(key, `clip/${file}`)),
            file,
          );
    });

  test('the total reserved concurrency leaves 100 of the 1,000 that an account has', () => {
    const sum = made
      .ofType('Lambda::Function')
      .map((one) => one.properties['ReservedConcurrentExecutions'] as number)
      .reduce((total, reserved) => total + reserved, 0);
    assert.ok(sum > 0 && sum <= 900, String(sum));
  });

  for (const { name, memory, timeout, storage, slow, reserved, routes, allows } of expected)
    describe(name, () => {
      const { id, properties } = made.functionNamed(name);
      const prefix = id.replace(/Function$/, '');

      test('has its own memory, timeout, storage and concurrency', () => {
        assert.equal(properties['MemorySize'], memory);
        assert.equal(properties['Timeout'], timeout);
        assert.ok(timeout < 30, 'an HTTP API waits 30 s');
        assert.deepEqual(properties['EphemeralStorage'], { Size: storage });
        assert.equal(properties['ReservedConcurrentExecutions'], reserved);
      });

      test('gets its settings as environment variables', () => {
        assert.deepEqual(properties['Environment'], {
          Variables: {
            ASSETS_URI: 's3://<BucketsAssets>/v1',
            UPLOADS_URI: 's3://<BucketsUploads>/uploads',
            CACHE_DIR: '/tmp/shazam-visual',
            CDN_URL: 'https://<SiteDistribution.DomainName>/images',
            CLIP_DTYPE: 'q8',
            LOG_LEVEL: 'info',
          },
        });
      });

      test('has only the permissions that it needs', () => {
        const log = `logs:CreateLogStream+logs:PutLogEvents on <${prefix}Logs.Arn>`;
        assert.deepEqual(made.allowed(name), [log, ...allows].sort());
        const role = made.byId(`${prefix}Role`);
        assert.equal(properties['Role'], `<${role.id}.Arn>`);
        assert.equal(role.properties['ManagedPolicyArns'], undefined);
        assert.equal(role.properties['Policies'], undefined);
        assert.deepEqual(
          statements(role, 'AssumeRolePolicyDocument').map((statement) => statement.Principal),
          [{ Service: 'lambda.amazonaws.com' }],
        );
      });

      test('logs to its own log group, kept for 30 days', () => {
        assert.deepEqual(properties['LoggingConfig'], { LogGroup: `<${prefix}Logs>` });
        const { properties: group, deletionPolicy } = made.byId(`${prefix}Logs`);
        assert.equal(group['RetentionInDays'], 30);
        assert.equal(group['LogGroupName'], `/ShazamVisual/${name}`);
        assert.equal(deletionPolicy, 'Delete');
      });

      test('serves its routes, and only they may invoke it', () => {
        const [integration, ...more] = made
          .ofType('ApiGatewayV2::Integration')
          .filter((one) => one.properties['IntegrationUri'] === `<${id}.Arn>`);
        assert.ok(integration);
        assert.deepEqual(more, []);
        has(integration.properties, { IntegrationType: 'AWS_PROXY', PayloadFormatVersion: '2.0' });
        const answered = made
          .ofType('ApiGatewayV2::Route')
          .filter((route) => route.properties['Target'] === `integrations/<${integration.id}>`)
          .map((route) => route.properties['RouteKey']);
        assert.deepEqual(answered.sort(), routes);
        const callers = made
          .ofType('Lambda::Permission')
          .filter((permission) => permission.properties['FunctionName'] === `<${id}.Arn>`)
          .map((permission) => permission.properties);
        for (const caller of callers)
          has(caller, {
            Principal: 'apigateway.amazonaws.com',
            Action: 'lambda:InvokeFunction',
          });
        const api = 'arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<EntranceApi>';
        assert.deepEqual(
          new Set(callers.map(({ SourceArn }) => SourceArn)),
          new Set(routes.map((route) => `${api}/*/*${route.split(' ')[1] ?? ''}`)),
        );
      });

      const sum = { Statistic: 'Sum', Threshold: 1, EvaluationPeriods: 1 };
      const alarms = [
        { kind: 'errors', MetricName: 'Errors', ...sum },
        { kind: 'throttles', MetricName: 'Throttles', ...sum },
        {
          kind: 'slow',
          MetricName: 'Duration',
          ExtendedStatistic: 'p99',
          Threshold: slow,
          EvaluationPeriods: 3,
        },
      ];
      for (const { kind, ...watched } of alarms)
        test(`has an alarm: ${kind}`, () => {
          has(made.byId(`Alarms${prefix}${kind}`).properties, {
            ...watched,
            Namespace: 'AWS/Lambda',
            Dimensions: [{ Name: 'FunctionName', Value: `<${id}>` }],
            Period: 300,
            ComparisonOperator: 'GreaterThanOrEqualToThreshold',
            TreatMissingData: 'notBreaching',
            AlarmActions: ['<AlarmsTopic>'],
          });
        });
    });
});

describe('no policy is wider than necessary', () => {
  const policies = made.ofType('IAM::Policy');

  test('there is one role with one policy per function, and no user, group or managed policy', () => {
    assert.equal(made.ofType('IAM::Role').length, expected.length);
    assert.equal(policies.length, expected.length);
    for (const type of ['IAM::User', 'IAM::Group', 'IAM::ManagedPolicy'])
      assert.equal(made.ofType(type).length, 0, type);
  });

  test('no action has a wildcard, and each resource at most a trailing one', () => {
    for (const statement of policies.flatMap((policy) => statements(policy))) {
      for (const action of [statement.Action].flat()) assert.match(action, /^[a-z0-9]+:\w+$/);
      for (const resource of [statement.Resource].flat())
        assert.match(resource, /^<\w+\.Arn>(\/[\w.-]+)*(\/[\w.-]*\*)?$/);
    }
  });
});
