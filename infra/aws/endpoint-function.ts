import { Duration, RemovalPolicy, Size, Stack, Validations } from 'aws-cdk-lib';
import type { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Alias,
  Architecture,
  DockerImageCode,
  DockerImageFunction,
  Tracing,
  type IFunction,
  type IVersion,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Endpoint, EndpointName } from './endpoints.ts';
import { reservedConcurrency, type Settings } from './settings.ts';

export interface EndpointFunctionProps {
  readonly endpoint: Endpoint & { readonly name: EndpointName };
  readonly image: DockerImageAsset;
  readonly environment: Record<string, string>;
  readonly settings: Settings;
}

/** One endpoint as a function, with a role and a log group of its own. */
export class EndpointFunction extends Construct {
  readonly role: Role;
  readonly function: DockerImageFunction;
  /** What the API calls: an alias where concurrency is provisioned, else the function itself. */
  readonly target: IFunction;

  constructor(scope: Construct, id: string, props: EndpointFunctionProps) {
    super(scope, id);
    const { endpoint, image, environment, settings } = props;
    const logGroup = new LogGroup(this, 'Logs', {
      logGroupName: `/${Stack.of(this).stackName}/${endpoint.name}`,
      retention: settings.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `What the function ${endpoint.name} may do`,
    });
    logGroup.grantWrite(this.role);
    const reserved = reservedConcurrency(settings, endpoint.name);
    this.function = new DockerImageFunction(this, 'Function', {
      description: endpoint.routes.join(', '),
      code: DockerImageCode.fromEcr(image.repository, {
        tagOrDigest: image.imageTag,
        cmd: [`functions/${endpoint.name}.handler`],
      }),
      architecture: settings.architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
      memorySize: endpoint.memoryMb,
      timeout: Duration.seconds(endpoint.timeoutSeconds),
      ephemeralStorageSize: Size.mebibytes(endpoint.storageMb),
      environment,
      role: this.role,
      logGroup,
      tracing: settings.tracing ? Tracing.ACTIVE : Tracing.DISABLED,
      ...(reserved !== undefined && { reservedConcurrentExecutions: reserved }),
    });
    this.target = this.provision(settings.provisionedConcurrency[endpoint.name]);
    if (settings.tracing)
      Validations.of(this.role).acknowledge({
        id: 'AwsSolutions-IAM5[Resource::*]',
        reason: 'X-Ray: PutTraceSegments and PutTelemetryRecords know no resources.',
      });
  }

  /**
   * Keeps some instances initialised, where asked to. (Under `exactOptionalPropertyTypes` the CDK's classes
   * do not fit its own interfaces, which is all that the assertions say.)
   */
  private provision(instances: number | undefined): IFunction {
    if (instances === undefined) return this.function;
    return new Alias(this, 'Live', {
      aliasName: 'live',
      version: this.function.currentVersion as IVersion,
      provisionedConcurrentExecutions: instances,
    }) as IFunction;
  }
}
