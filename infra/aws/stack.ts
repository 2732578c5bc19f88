import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { grantAccess } from './access.ts';
import { Alarms } from './alarms.ts';
import { Buckets, uploadsPrefix } from './buckets.ts';
import { EndpointFunction } from './endpoint-function.ts';
import { endpoints } from './endpoints.ts';
import { HttpEntrance } from './http-entrance.ts';
import { runtimeImage } from './image.ts';
import { PublicSite } from './public-site.ts';
import type { Settings } from './settings.ts';

/** Folder of the LanceDB table in the assets bucket, below the prefix. */
const tableFolder = 'table';

export interface ShazamVisualStackProps extends StackProps {
  readonly settings: Settings;
  /** The repository's root, from which the image is built. */
  readonly directory: string;
}

/**
 * Everything on AWS. The distribution knows the API by its id alone, and the functions know the
 * distribution by its name: the API's routes, made last, close the circle without a cycle.
 */
export class ShazamVisualStack extends Stack {
  constructor(scope: Construct, id: string, props: ShazamVisualStackProps) {
    const { settings, directory, ...stackProps } = props;
    super(scope, id, { description: 'Visual search over album covers', ...stackProps });
    const image = runtimeImage(this, directory, settings);
    const buckets = new Buckets(this, 'Buckets', settings);
    const entrance = new HttpEntrance(this, 'Entrance', settings);
    const site = new PublicSite(this, 'Site', {
      buckets,
      apiDomainName: entrance.domainName,
      settings,
    });
    const alarms = new Alarms(this, 'Alarms', settings);
    const assetsUri = `s3://${buckets.assets.bucketName}/${settings.assetsPrefix}`;
    const environment = {
      ASSETS_URI: assetsUri,
      UPLOADS_URI: `s3://${buckets.uploads.bucketName}/${uploadsPrefix}`,
      CACHE_DIR: '/tmp/shazam-visual',
      CDN_URL: `${site.url}/images`,
      CLIP_DTYPE: 'q8',
      LOG_LEVEL: settings.logLevel,
      ...(settings.lance && {
        CATALOG_URI: `lance+${assetsUri}/${tableFolder}`,
      }),
      ...(settings.apiKeys !== undefined && { API_KEYS: settings.apiKeys }),
    };
    for (const endpoint of endpoints) {
      const made = new EndpointFunction(this, endpoint.name, {
        endpoint,
        image,
        environment,
        settings,
      });
      const table = settings.lance && endpoint.reads.length > 0 ? [`${tableFolder}/*`] : [];
      const needs = { ...endpoint, reads: [...endpoint.reads, ...table] };
      grantAccess(made.role, needs, buckets, settings.assetsPrefix);
      entrance.route(endpoint, made.target);
      alarms.watchFunction(endpoint, made.function);
    }
    alarms.watchApi(entrance.api);

    this.output({
      SiteUrl: site.url,
      ApiUrl: entrance.url,
      AssetsUri: assetsUri,
      UploadsBucket: buckets.uploads.bucketName,
      AssetsBucket: buckets.assets.bucketName,
      LogsBucket: buckets.logs.bucketName,
      DistributionId: site.distribution.distributionId,
      DistributionDomain: site.distribution.distributionDomainName,
      AlarmTopic: alarms.topic.topicArn,
    });
  }

  /** What the next commands need: see docs/deploy-aws.md. */
  private output(values: Record<string, string>): void {
    for (const [name, value] of Object.entries(values)) new CfnOutput(this, name, { value });
  }
}
