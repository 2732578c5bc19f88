import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Validations } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { readSettings, settingNames } from '../infra/aws/settings.ts';
import { expected } from './support/aws-expected.ts';
import { has, statements, Synthesis } from './support/aws-template.ts';
import { root } from './support/requests.ts';

const made = new Synthesis();

describe('the buckets', () => {
  test('there are three: assets, uploads and logs', () => {
    assert.deepEqual(
      made
        .ofType('S3::Bucket')
        .map(({ id }) => id)
        .sort(),
      ['BucketsAssets', 'BucketsLogs', 'BucketsUploads'],
    );
  });

  for (const { id, properties } of made.ofType('S3::Bucket')) {
    test(`${id} is private and encrypted`, () => {
      assert.deepEqual(properties['PublicAccessBlockConfiguration'], {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      });
      assert.deepEqual(properties['BucketEncryption'], {
        ServerSideEncryptionConfiguration: [
          { ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } },
        ],
      });
    });

    test(`${id} refuses plain HTTP and TLS below 1.2`, () => {
      const everything = [`<${id}.Arn>`, `<${id}.Arn>/*`];
      for (const condition of [
        { Bool: { 'aws:SecureTransport': 'false' } },
        { NumericLessThan: { 's3:TlsVersion': 1.2 } },
      ])
        assert.deepEqual(
          statements(made.byId(`${id}Policy`)).filter(
            (statement) => JSON.stringify(statement.Condition) === JSON.stringify(condition),
          ),
          [
            {
              Effect: 'Deny',
              Action: 's3:*',
              Principal: { AWS: '*' },
              Resource: everything,
              Condition: condition,
            },
          ],
        );
    });
  }

  test('assets are versioned, old versions expire after 30 days, and the bucket outlives the stack', () => {
    const { properties, deletionPolicy } = made.byId('BucketsAssets');
    assert.deepEqual(properties['VersioningConfiguration'], { Status: 'Enabled' });
    assert.deepEqual(properties['LifecycleConfiguration'], {
      Rules: [
        {
          Status: 'Enabled',
          NoncurrentVersionExpiration: { NoncurrentDays: 30 },
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
        },
      ],
    });
    assert.equal(deletionPolicy, 'Retain');
    assert.equal(properties['CorsConfiguration'], undefined);
  });

  test('uploads expire after a day, are not versioned, and are deleted with the stack', () => {
    const { properties, deletionPolicy } = made.byId('BucketsUploads');
    assert.deepEqual(properties['LifecycleConfiguration'], {
      Rules: [
        {
          Status: 'Enabled',
          ExpirationInDays: 1,
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
        },
      ],
    });
    assert.equal(properties['VersioningConfiguration'], undefined);
    assert.equal(deletionPolicy, 'Delete');
  });

  test('browsers may POST uploads', () => {
    assert.deepEqual(made.byId('BucketsUploads').properties['CorsConfiguration'], {
      CorsRules: [
        {
          AllowedMethods: ['POST'],
          AllowedOrigins: ['*'],
          AllowedHeaders: ['*'],
          ExposedHeaders: ['ETag'],
          MaxAge: 3600,
        },
      ],
    });
  });

  test('access is logged, and logs expire after 90 days', () => {
    for (const [id, prefix] of [
      ['BucketsAssets', 'assets/'],
      ['BucketsUploads', 'uploads/'],
    ] as const) {
      assert.deepEqual(made.byId(id).properties['LoggingConfiguration'], {
        DestinationBucketName: '<BucketsLogs>',
        LogFilePrefix: prefix,
      });
      const [writes] = statements(made.byId('BucketsLogsPolicy')).filter(
        ({ Resource: resource }) => resource === `<BucketsLogs.Arn>/${prefix}*`,
      );
      has(writes, {
        Effect: 'Allow',
        Action: 's3:PutObject',
        Principal: { Service: 'logging.s3.amazonaws.com' },
        Condition: {
          ArnLike: { 'aws:SourceArn': `<${id}.Arn>` },
          StringEquals: { 'aws:SourceAccount': '<AWS::AccountId>' },
        },
      });
    }
    const { properties, deletionPolicy } = made.byId('BucketsLogs');
    assert.deepEqual(properties['LifecycleConfiguration'], {
      Rules: [{ Status: 'Enabled', ExpirationInDays: 90 }],
    });
    assert.deepEqual(properties['OwnershipControls'], {
      Rules: [{ ObjectOwnership: 'BucketOwnerPreferred' }],
    });
    assert.equal(deletionPolicy, 'Retain');
  });
});

describe('the alarms', () => {
  test('they go to a topic with its own key, to which CloudWatch may publish from this account', () => {
    assert.equal(made.ofType('CloudWatch::Alarm').length, 3 * expected.length + 1);
    assert.equal(made.byId('AlarmsTopic').properties['KmsMasterKeyId'], '<AlarmsKey.Arn>');
    assert.equal(made.byId('AlarmsKey').properties['EnableKeyRotation'], true);
    const fromHere = { StringEquals: { 'aws:SourceAccount': '<AWS::AccountId>' } };
    const cloudWatch = { Service: 'cloudwatch.amazonaws.com' };
    has(
      statements(made.byId('AlarmsKey'), 'KeyPolicy').find(({ Sid }) => Sid === 'AlarmsEncrypt'),
      {
        Effect: 'Allow',
        Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
        Principal: cloudWatch,
      },
    );
    const policy = statements(made.byId('AlarmsTopicPolicy'));
    has(
      policy.find(({ Sid }) => Sid === 'AlarmsPublish'),
      {
        Effect: 'Allow',
        Action: 'sns:Publish',
        Resource: '<AlarmsTopic>',
        Principal: cloudWatch,
        Condition: fromHere,
      },
    );
    has(
      policy.find(({ Effect }) => Effect === 'Deny'),
      {
        Action: 'sns:Publish',
        Principal: '*',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      },
    );
  });

  test('alarmEmail is subscribed to the topic', () => {
    assert.equal(made.ofType('SNS::Subscription').length, 0);
    const [subscription] = new Synthesis({ alarmEmail: 'ops@example.org' }).ofType(
      'SNS::Subscription',
    );
    has(subscription?.properties, {
      Protocol: 'email',
      Endpoint: 'ops@example.org',
      TopicArn: '<AlarmsTopic>',
    });
  });
});

describe('the outputs', () => {
  test('list the URLs, buckets and ids needed next', () => {
    assert.deepEqual(made.outputs, {
      SiteUrl: 'https://<SiteDistribution.DomainName>',
      ApiUrl: '<EntranceApi.ApiEndpoint>',
      AssetsUri: 's3://<BucketsAssets>/v1',
      AssetsBucket: '<BucketsAssets>',
      UploadsBucket: '<BucketsUploads>',
      LogsBucket: '<BucketsLogs>',
      DistributionId: '<SiteDistribution>',
      DistributionDomain: '<SiteDistribution.DomainName>',
      AlarmTopic: '<AlarmsTopic>',
    });
  });
});

describe('the AwsSolutions rules', () => {
  /** Reasons given at the resources for acknowledged rules, by rule. */
  const explained = new Map(
    made.stack.node
      .findAll()
      .flatMap(({ node }) => node.metadata)
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }) => Object.entries(data as Record<string, string>))
      .map(([rule, reason]) => [rule.replace(/^annotation::/i, ''), reason]),
  );

  test('none is violated without a reason', () => {
    assert.deepEqual(made.findings, []);
  });

  test('the CDK itself reports no warnings or errors', () => {
    const said = Annotations.fromStack(made.stack);
    for (const entries of [
      said.findWarning('*', Match.anyValue()),
      said.findError('*', Match.anyValue()),
    ])
      assert.deepEqual(
        entries.map(({ entry }) => entry.data),
        [],
      );
  });

  test('each exception is necessary, expected and explained', () => {
    const unforgiving = new AwsSolutionsChecks();
    Object.assign(unforgiving, { isAcknowledged: () => false });
    const broken = unforgiving.validateScope(made.stack).violations.map(({ ruleName }) => ruleName);
    assert.deepEqual(broken.sort(), [...explained.keys()].sort());
    assert.deepEqual(
      broken.map((rule) => rule.replace(/[0-9A-F]{8}\.Arn/, '.Arn')),
      [
        'AwsSolutions-APIG4',
        'AwsSolutions-CFR1',
        'AwsSolutions-CFR2',
        'AwsSolutions-CFR4',
        'AwsSolutions-IAM5[Resource::<BucketsAssets.Arn>/v1/images/*]',
        'AwsSolutions-IAM5[Resource::<BucketsAssets.Arn>/v1/models/clip/*]',
        'AwsSolutions-IAM5[Resource::<BucketsUploads.Arn>/uploads/*]',
      ],
    );
    for (const [rule, reason] of explained) assert.match(reason, /^[A-Z].{40,}\.$/, rule);
  });
});

describe('cdk synth', () => {
  const output = mkdtempSync(join(tmpdir(), 'cdk-'));
  after(() => {
    rmSync(output, { recursive: true, force: true });
  });

  test('the real command produces the same template, without network, credentials or Docker', async () => {
    const command = ['synth', '--quiet', '--no-path-metadata', '--no-asset-metadata', '-o', output];
    const cdk = join(root, 'node_modules', 'aws-cdk', 'bin', 'cdk');
    await promisify(execFile)(process.execPath, [cdk, ...command], {
      cwd: join(root, 'infra', 'aws'),
      env: {
        // Lets the program named in cdk.json be found, as `npm run cdk` does.
        PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`,
        HOME: output,
        AWS_EC2_METADATA_DISABLED: 'true',
        CI: 'true',
      },
    });
    const template = (folder: string) =>
      JSON.parse(readFileSync(join(folder, 'ShazamVisual.template.json'), 'utf8')) as unknown;
    assert.deepEqual(template(output), template(made.outdir));
  });
});

describe('the guide', () => {
  const guide = readFileSync(join(root, 'docs', 'deploy-aws.md'), 'utf8');

  test('lists exactly the settings, each with its default', () => {
    const listed = [...guide.matchAll(/^\| `(\w+)` +\| ([^ |]*) +\|/gm)].map(([, name, value]) => [
      name,
      value,
    ]);
    const defaults: Record<string, unknown> = readSettings(() => undefined);
    const written = (value: unknown) => JSON.stringify(value ?? '').replace(/["{}[\]]/g, '');
    assert.deepEqual(
      listed,
      settingNames.map((name) => [name, written(defaults[name])]),
    );
  });

  test('calculates the cost of a search from its actual memory', () => {
    const { memory = 0 } = expected.find(({ name }) => name === 'search-by-image') ?? {};
    const dollars = (memory / 1024) * 1000 * 0.0000133334;
    assert.ok(guide.includes(`${String(memory)}/1024 GB × ms × 1,000 s × 0.0000133334`));
    assert.ok(guide.includes(`${dollars.toFixed(5)} × \`IMAGE_MS\``), dollars.toFixed(5));
  });

  test('lists every function as it is deployed', () => {
    const listed = [
      ...guide.matchAll(/^\| ([a-z-]+) +\| ([\d,]+) +\| (\d+) +\| ([\d,]+) +\| (\d+) +\|/gm),
    ];
    const plain = (text = '') => Number(text.replace(',', ''));
    assert.deepEqual(
      listed.map(([, name, memory, timeout, storage, reserved]) => [
        name,
        ...[memory, timeout, storage, reserved].map(plain),
      ]),
      expected.map(({ name, memory, timeout, storage, reserved }) => [
        name,
        memory,
        timeout,
        storage,
        reserved,
      ]),
    );
  });

  test('links only to files that exist', () => {
    for (const [, target = ''] of guide.matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      assert.ok(existsSync(join(root, 'docs', target)), target);
  });
});
