import { Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import type { CfnBucket, IBucket } from 'aws-cdk-lib/aws-s3';
import { uploadsPrefix, type Buckets } from './buckets.ts';
import type { Endpoint } from './endpoints.ts';

/**
 * Lets a function do what its row says, and nothing else: read its keys of the assets bucket, and handle
 * uploads where that is its work.
 *
 * @param prefix what stands before each key of the assets bucket, without a slash at its end
 */
export function grantAccess(
  role: Role,
  { reads, uploads = [] }: Endpoint,
  { assets, uploads: uploadsBucket }: Buckets,
  prefix: string,
): void {
  const keys = reads.map((pattern) => `${prefix}/${pattern}`);
  const upload = `${uploadsPrefix}/*`;
  if (keys.length > 0) {
    allow(role, 'ReadAssets', ['s3:GetObject'], assets, keys);
    allowToMiss(
      role,
      'TellMissingAssets',
      assets,
      [...new Set(reads.map(folderOf))].map((folder) => `${prefix}/${folder}/*`),
    );
  }
  if (uploads.length > 0)
    allow(
      role,
      'HandleUploads',
      uploads.map((action) => `s3:${action}`),
      uploadsBucket,
      [upload],
    );
  if (uploads.includes('GetObject'))
    allowToMiss(role, 'TellMissingUploads', uploadsBucket, [upload]);
}

const folderOf = (pattern: string) => pattern.split('/', 1)[0] ?? '';

function allow(role: Role, sid: string, actions: string[], bucket: IBucket, keys: string[]): void {
  role.addToPolicy(
    new PolicyStatement({ sid, actions, resources: keys.map((key) => bucket.arnForObjects(key)) }),
  );
  Validations.of(role).acknowledge(
    ...keys
      .filter((key) => key.includes('*'))
      .map((key) => ({
        id: `AwsSolutions-IAM5[Resource::<${logicalId(bucket)}.Arn>/${key}]`,
        reason:
          'The names of covers, uploads and model variants are not known at deployment: the wildcard stands for the end of a key in one folder that the function is there to serve.',
      })),
  );
}

/**
 * Without leave to list, S3 answers 403 for a key that does not exist, as for one that is forbidden. S3
 * takes the key that was asked for as `s3:prefix` when it decides between 403 and 404, so leave for one
 * folder is enough.
 */
function allowToMiss(role: Role, sid: string, bucket: IBucket, prefixes: string[]): void {
  role.addToPolicy(
    new PolicyStatement({
      sid,
      actions: ['s3:ListBucket'],
      resources: [bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': prefixes } },
    }),
  );
}

const logicalId = (bucket: IBucket): string =>
  Stack.of(bucket).getLogicalId(bucket.node.defaultChild as CfnBucket);
