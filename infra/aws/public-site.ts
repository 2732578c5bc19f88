import { Aws, Duration, Validations } from 'aws-cdk-lib';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import {
  AllowedMethods,
  CachePolicy,
  Distribution,
  HeadersFrameOption,
  HeadersReferrerPolicy,
  HttpVersion,
  OriginProtocolPolicy,
  OriginRequestPolicy,
  OriginSslPolicy,
  PriceClass,
  ResponseHeadersPolicy,
  S3OriginAccessControl,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront';
import { HttpOrigin, S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { pagePolicy } from '../../lib/http/page-policy.ts';
import type { Buckets } from './buckets.ts';
import type { Settings } from './settings.ts';

export interface PublicSiteProps {
  readonly buckets: Buckets;
  /** Host name of the HTTP API. */
  readonly apiDomainName: string;
  readonly settings: Settings;
}

/** What the page asks of the API, or leads to. */
const apiPaths = ['/api/*', '/health', '/docs*', '/openapi.json'];

/** One address for everything a browser needs: the page, the covers, and the API. */
export class PublicSite extends Construct {
  /** Base URL, without a slash at its end. */
  readonly url: string;
  readonly distribution: Distribution;

  constructor(scope: Construct, id: string, { buckets, apiDomainName, settings }: PublicSiteProps) {
    super(scope, id);
    const { assetsPrefix, domainName, certificateArn } = settings;
    const accessControl = new S3OriginAccessControl(this, 'AccessControl');
    // Not `withOriginAccessControl`, which would open the whole bucket to the distribution.
    const folder = (originPath: string) =>
      S3BucketOrigin.withBucketDefaults(buckets.assets, {
        originPath,
        originAccessControlId: accessControl.originAccessControlId,
      });
    const files = {
      viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
      cachePolicy: CachePolicy.CACHING_OPTIMIZED,
      responseHeadersPolicy: this.securityHeaders(),
      compress: true,
    };
    const api = {
      ...files,
      origin: new HttpOrigin(apiDomainName, {
        protocolPolicy: OriginProtocolPolicy.HTTPS_ONLY,
        originSslProtocols: [OriginSslPolicy.TLS_V1_2],
        // Longer than the 30 s of the HTTP API, so that its answer arrives whatever it is.
        readTimeout: Duration.seconds(35),
      }),
      allowedMethods: AllowedMethods.ALLOW_ALL,
      cachePolicy: CachePolicy.CACHING_DISABLED,
      originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
    };
    this.distribution = new Distribution(this, 'Distribution', {
      defaultRootObject: 'index.html',
      defaultBehavior: { ...files, origin: folder(`/${assetsPrefix}/web`) },
      additionalBehaviors: {
        '/images/*': { ...files, origin: folder(`/${assetsPrefix}`) },
        ...Object.fromEntries(apiPaths.map((path) => [path, api])),
      },
      httpVersion: HttpVersion.HTTP2_AND_3,
      priceClass: PriceClass.PRICE_CLASS_100,
      enableLogging: true,
      logBucket: buckets.logs,
      logFilePrefix: 'cloudfront/',
      ...(domainName !== undefined &&
        certificateArn !== undefined && {
          domainNames: [domainName],
          minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
          certificate: Certificate.fromCertificateArn(this, 'Certificate', certificateArn),
        }),
    });
    this.url = `https://${domainName ?? this.distribution.distributionDomainName}`;
    this.allowToRead(buckets, [`${assetsPrefix}/web/*`, `${assetsPrefix}/images/*`]);
    acknowledge(this.distribution, domainName !== undefined);
  }

  /** Lets this distribution, and no other, read the page and the covers, and tell which are missing. */
  private allowToRead({ assets }: Buckets, keys: string[]): void {
    const own = {
      'AWS:SourceArn': `arn:${Aws.PARTITION}:cloudfront::${Aws.ACCOUNT_ID}:distribution/${this.distribution.distributionId}`,
    };
    const principals = [new ServicePrincipal('cloudfront.amazonaws.com')];
    assets.addToResourcePolicy(
      new PolicyStatement({
        sid: 'DistributionReads',
        principals,
        actions: ['s3:GetObject'],
        resources: keys.map((key) => assets.arnForObjects(key)),
        conditions: { StringEquals: own },
      }),
    );
    assets.addToResourcePolicy(
      new PolicyStatement({
        sid: 'DistributionTellsMissing',
        principals,
        actions: ['s3:ListBucket'],
        resources: [assets.bucketArn],
        conditions: { StringEquals: own, StringLike: { 's3:prefix': keys } },
      }),
    );
  }

  /** Headers that a browser is told by; an origin that sends one of its own keeps it (`/docs` does). */
  private securityHeaders(): ResponseHeadersPolicy {
    return new ResponseHeadersPolicy(this, 'SecurityHeaders', {
      securityHeadersBehavior: {
        contentSecurityPolicy: {
          contentSecurityPolicy: pagePolicy("frame-ancestors 'none'"),
          override: false,
        },
        contentTypeOptions: { override: true },
        frameOptions: { frameOption: HeadersFrameOption.DENY, override: true },
        referrerPolicy: {
          referrerPolicy: HeadersReferrerPolicy.STRICT_ORIGIN_WHEN_CROSS_ORIGIN,
          override: true,
        },
        strictTransportSecurity: {
          accessControlMaxAge: Duration.days(365),
          includeSubdomains: true,
          override: true,
        },
      },
    });
  }
}

function acknowledge(distribution: Distribution, ownDomain: boolean): void {
  Validations.of(distribution).acknowledge(
    {
      id: 'AwsSolutions-CFR1',
      reason: 'The catalog is for everyone: no country is shut out.',
    },
    {
      id: 'AwsSolutions-CFR2',
      reason:
        'No firewall by default, since it costs a fee each month: requests are throttled at the API, and nothing behind it is private or can be written to but one-day uploads.',
    },
  );
  if (!ownDomain)
    Validations.of(distribution).acknowledge({
      id: 'AwsSolutions-CFR4',
      reason:
        'AWS fixes the protocols of the default *.cloudfront.net certificate. With domainName and certificateArn set, TLS 1.2 is the least.',
    });
}
