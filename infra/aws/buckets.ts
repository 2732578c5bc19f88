import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  HttpMethods,
  ObjectOwnership,
  type BucketProps,
  type IBucket,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { Settings } from './settings.ts';

/** The folder of the uploads bucket that holds uploads. */
export const uploadsPrefix = 'uploads';

/**
 * A closed bucket. Under `exactOptionalPropertyTypes` the CDK's classes do not fit its own interfaces, which
 * is all that the assertion says.
 */
const closedBucket = (scope: Construct, id: string, props: BucketProps): IBucket =>
  new Bucket(scope, id, {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    ...props,
  }) as IBucket;

/** Where files are: what is served, what was uploaded, and who asked. None of them is public. */
export class Buckets extends Construct {
  /** `<prefix>/models/…`, `<prefix>/images/…` and `<prefix>/web/…`. Kept when the stack is deleted. */
  readonly assets: IBucket;
  /** Pictures on their way to a search, under `uploads/`; gone within a day or two. */
  readonly uploads: IBucket;
  /** Access logs of the two and of the distribution. */
  readonly logs: IBucket;

  constructor(scope: Construct, id: string, { corsOrigins }: Settings) {
    super(scope, id);
    this.logs = closedBucket(this, 'Logs', {
      // CloudFront writes its logs as another owner, which needs access control lists.
      objectOwnership: ObjectOwnership.BUCKET_OWNER_PREFERRED,
      lifecycleRules: [{ expiration: Duration.days(90) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.assets = closedBucket(this, 'Assets', {
      // An upload over a good index can be taken back.
      versioned: true,
      lifecycleRules: [
        {
          noncurrentVersionExpiration: Duration.days(30),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      serverAccessLogsBucket: this.logs,
      serverAccessLogsPrefix: 'assets/',
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.uploads = closedBucket(this, 'Uploads', {
      // Not versioned: a picture that was searched for is deleted, not hidden.
      lifecycleRules: [
        {
          expiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      cors: [
        {
          allowedMethods: [HttpMethods.POST],
          allowedOrigins: corsOrigins,
          allowedHeaders: ['*'],
          exposedHeaders: ['ETag'],
          maxAge: 3600,
        },
      ],
      serverAccessLogsBucket: this.logs,
      serverAccessLogsPrefix: 'uploads/',
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}
