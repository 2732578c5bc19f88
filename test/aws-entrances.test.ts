import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { endpoints } from '../lib/http/openapi.ts';
import { assets, expected } from './support/aws-expected.ts';
import { at, has, statements, Synthesis } from './support/aws-template.ts';

const made = new Synthesis();

describe('the HTTP API', () => {
  const { properties: api } = made.byId('EntranceApi');
  const { properties: stage } = made.byId('EntranceStage');

  test('it is the only API, of type HTTP, with exactly the routes of the functions', () => {
    assert.equal(made.ofType('ApiGatewayV2::Api').length, 1);
    assert.equal(api['ProtocolType'], 'HTTP');
    assert.deepEqual(
      made
        .ofType('ApiGatewayV2::Route')
        .map((route) => route.properties['RouteKey'])
        .sort(),
      expected.flatMap(({ routes }) => routes).sort(),
    );
  });

  test('its routes are the endpoints of the OpenAPI document, plus HEAD for covers and the assets of the pages', () => {
    const routes = expected.flatMap((one) => one.routes);
    const beside = ['HEAD /api/image/{album_id}', 'GET /assets/{name}', 'GET /docs/{proxy+}'];
    assert.deepEqual(routes.sort(), [...endpoints, ...beside].sort());
  });

  test('it supports CORS', () => {
    assert.deepEqual(api['CorsConfiguration'], {
      AllowOrigins: ['*'],
      AllowMethods: ['GET', 'HEAD', 'POST'],
      AllowHeaders: [
        'authorization',
        'x-api-key',
        'content-type',
        'x-request-id',
        'range',
        'if-none-match',
      ],
      ExposeHeaders: [
        'x-request-id',
        'retry-after',
        'etag',
        'ratelimit',
        'accept-ranges',
        'content-range',
      ],
      MaxAge: 86_400,
    });
  });

  test('it is throttled', () => {
    assert.deepEqual(stage['DefaultRouteSettings'], {
      ThrottlingRateLimit: 100,
      ThrottlingBurstLimit: 200,
    });
    has(stage, { StageName: '$default', AutoDeploy: true, ApiId: '<EntranceApi>' });
  });

  test('it logs each request as a line of JSON, kept for 30 days', () => {
    assert.equal(
      at(made.byId('EntranceStage'), 'AccessLogSettings', 'DestinationArn'),
      '<EntranceAccessLog.Arn>',
    );
    const format = String(at(made.byId('EntranceStage'), 'AccessLogSettings', 'Format'));
    const { request_id, status, route, function_error } = JSON.parse(format) as Record<
      string,
      string
    >;
    assert.deepEqual(
      [request_id, status, route, function_error],
      [
        '$context.requestId',
        '$context.status',
        '$context.routeKey',
        '$context.integrationErrorMessage',
      ],
    );
    const { properties: group, deletionPolicy } = made.byId('EntranceAccessLog');
    has(group, { RetentionInDays: 30, LogGroupName: '/aws/vendedlogs/ShazamVisual/api' });
    assert.equal(deletionPolicy, 'Delete');
  });

  test('it has an alarm for its 5xx errors', () => {
    has(made.byId('Alarmsapiservererrors').properties, {
      MetricName: '5xx',
      Namespace: 'AWS/ApiGateway',
      Dimensions: [{ Name: 'ApiId', Value: '<EntranceApi>' }],
      Statistic: 'Sum',
      Period: 300,
      Threshold: 5,
      EvaluationPeriods: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      AlarmActions: ['<AlarmsTopic>'],
    });
  });
});

describe('the distribution', () => {
  interface Origin {
    Id: string;
  }
  interface Behavior {
    PathPattern?: string;
    TargetOriginId: string;
  }
  const site = made.byId('SiteDistribution');
  const config = at(site, 'DistributionConfig') as {
    Origins: Origin[];
    CacheBehaviors: Behavior[];
    DefaultCacheBehavior: Behavior;
  };
  const originOf = ({ TargetOriginId }: Behavior) => {
    const origin = config.Origins.find(({ Id }) => Id === TargetOriginId);
    assert.ok(origin);
    return origin;
  };
  const behavior = (pattern: string) => {
    const found = config.CacheBehaviors.find(({ PathPattern }) => PathPattern === pattern);
    assert.ok(found, pattern);
    return found;
  };
  const bucketAt = (path: string) => ({
    DomainName: '<BucketsAssets.RegionalDomainName>',
    OriginPath: path,
    OriginAccessControlId: '<SiteAccessControl.Id>',
    S3OriginConfig: { OriginAccessIdentity: '' },
  });
  /** Ids of AWS managed policies. */
  const managed = {
    cachingOptimized: '658327ea-f89d-4fab-a63d-7e88639e58f6',
    cachingDisabled: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
    allViewerExceptHostHeader: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
  };

  /** API paths that the page requests or links to. */
  const apiPaths = ['/api/*', '/health', '/docs*', '/openapi.json'];

  test('it serves the page, the covers and the API, and nothing else', () => {
    assert.deepEqual(
      config.CacheBehaviors.map(({ PathPattern }) => PathPattern),
      ['/images/*', ...apiPaths],
    );
    has(originOf(config.DefaultCacheBehavior), bucketAt('/v1/web'));
    has(originOf(behavior('/images/*')), bucketAt('/v1'));
    has(config, { DefaultRootObject: 'index.html', Enabled: true });
  });

  test('it caches the page and the covers, but no API responses', () => {
    for (const files of [config.DefaultCacheBehavior, behavior('/images/*')])
      has(files, { CachePolicyId: managed.cachingOptimized, AllowedMethods: undefined });
    for (const path of apiPaths)
      has(behavior(path), {
        CachePolicyId: managed.cachingDisabled,
        OriginRequestPolicyId: managed.allViewerExceptHostHeader,
        AllowedMethods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'DELETE'],
      });
  });

  test('it connects to the API over TLS 1.2, with a longer timeout than that of the API', () => {
    for (const path of apiPaths)
      has(originOf(behavior(path)), {
        DomainName: '<EntranceApi>.execute-api.<AWS::Region>.<AWS::URLSuffix>',
        CustomOriginConfig: {
          OriginProtocolPolicy: 'https-only',
          OriginSSLProtocols: ['TLSv1.2'],
          OriginReadTimeout: 35,
        },
      });
  });

  test('it signs its S3 requests; the bucket policy allows only this distribution, and only page and covers', () => {
    assert.deepEqual(
      at(made.byId('SiteAccessControl'), 'OriginAccessControlConfig', 'SigningBehavior'),
      'always',
    );
    has(at(made.byId('SiteAccessControl'), 'OriginAccessControlConfig'), {
      OriginAccessControlOriginType: 's3',
      SigningProtocol: 'sigv4',
    });
    const own = {
      'AWS:SourceArn':
        'arn:<AWS::Partition>:cloudfront::<AWS::AccountId>:distribution/<SiteDistribution>',
    };
    const Principal = { Service: 'cloudfront.amazonaws.com' };
    assert.deepEqual(
      statements(made.byId('BucketsAssetsPolicy')).filter(({ Effect }) => Effect === 'Allow'),
      [
        {
          Sid: 'DistributionReads',
          Effect: 'Allow',
          Action: 's3:GetObject',
          Principal,
          Resource: [`${assets}/v1/images/*`, `${assets}/v1/web/*`],
          Condition: { StringEquals: own },
        },
        {
          Sid: 'DistributionTellsMissing',
          Effect: 'Allow',
          Action: 's3:ListBucket',
          Principal,
          Resource: assets,
          Condition: {
            StringEquals: own,
            StringLike: { 's3:prefix': ['v1/web/*', 'v1/images/*'] },
          },
        },
      ],
    );
  });

  test('it redirects to HTTPS, and sends security headers', () => {
    for (const one of [config.DefaultCacheBehavior, ...config.CacheBehaviors])
      has(one, {
        ViewerProtocolPolicy: 'redirect-to-https',
        ResponseHeadersPolicyId: '<SiteSecurityHeaders>',
      });
    const headers = at(
      made.byId('SiteSecurityHeaders'),
      'ResponseHeadersPolicyConfig',
      'SecurityHeadersConfig',
    ) as Record<string, object> & { ContentSecurityPolicy: Record<string, string | boolean> };
    const { ContentSecurityPolicy: pagePolicy, ...rest } = headers;
    assert.deepEqual(rest, {
      ContentTypeOptions: { Override: true },
      FrameOptions: { FrameOption: 'DENY', Override: true },
      ReferrerPolicy: { ReferrerPolicy: 'strict-origin-when-cross-origin', Override: true },
      StrictTransportSecurity: {
        AccessControlMaxAgeSec: 31_536_000,
        IncludeSubdomains: true,
        Override: true,
      },
    });
    assert.equal(pagePolicy['Override'], false, 'an origin with a policy of its own keeps it');
    const policy = String(pagePolicy['ContentSecurityPolicy']);
    assert.match(policy, /^default-src 'none'; script-src 'self'; /);
    assert.match(policy, /; connect-src 'self'; /);
    assert.match(policy, /; frame-ancestors 'none'$/);
    assert.doesNotMatch(policy, /unsafe|\*/);
  });

  test('it logs requests', () => {
    assert.deepEqual(at(site, 'DistributionConfig', 'Logging'), {
      Bucket: '<BucketsLogs.RegionalDomainName>',
      Prefix: 'cloudfront/',
    });
  });

  test('with a custom domain, it requires TLS 1.2 and serves the covers from there', () => {
    const certificateArn = 'arn:aws:acm:us-east-1:123456789012:certificate/0a1b';
    const other = new Synthesis({ domainName: 'albums.example.org', certificateArn });
    const own = other.byId('SiteDistribution');
    assert.deepEqual(at(own, 'DistributionConfig', 'Aliases'), ['albums.example.org']);
    assert.deepEqual(at(own, 'DistributionConfig', 'ViewerCertificate'), {
      AcmCertificateArn: certificateArn,
      MinimumProtocolVersion: 'TLSv1.2_2021',
      SslSupportMethod: 'sni-only',
    });
    const image = other.functionNamed('image');
    assert.equal(
      at(image, 'Environment', 'Variables', 'CDN_URL'),
      'https://albums.example.org/images',
    );
    assert.equal(other.outputs['SiteUrl'], 'https://albums.example.org');
    assert.deepEqual(other.findings, []);
  });
});
