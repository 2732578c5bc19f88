import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  CorsHttpMethod,
  HttpApi,
  HttpMethod,
  HttpStage,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Endpoint } from './endpoints.ts';
import type { Settings } from './settings.ts';

/** One line of JSON for each request. */
const logFields = {
  time: '$context.requestTime',
  request_id: '$context.requestId',
  client: '$context.identity.sourceIp',
  route: '$context.routeKey',
  path: '$context.path',
  status: '$context.status',
  bytes: '$context.responseLength',
  ms: '$context.responseLatency',
  function_ms: '$context.integrationLatency',
  error: '$context.error.message',
  function_error: '$context.integrationErrorMessage',
};

/** The HTTP API. It answers CORS itself and overwrites the functions' own headers for it. */
export class HttpEntrance extends Construct {
  readonly api: HttpApi;
  /** Base URL, without a slash at its end. */
  readonly url: string;
  /** For a distribution in front: `<id>.execute-api.<region>.amazonaws.com`. */
  readonly domainName: string;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id);
    const { region, stackName, urlSuffix } = Stack.of(this);
    this.api = new HttpApi(this, 'Api', {
      apiName: stackName,
      createDefaultStage: false,
      corsPreflight: {
        allowOrigins: settings.corsOrigins,
        allowMethods: [CorsHttpMethod.GET, CorsHttpMethod.HEAD, CorsHttpMethod.POST],
        allowHeaders: [
          'authorization',
          'x-api-key',
          'content-type',
          'x-request-id',
          'range',
          'if-none-match',
        ],
        exposeHeaders: [
          'x-request-id',
          'retry-after',
          'etag',
          'ratelimit',
          'accept-ranges',
          'content-range',
        ],
        maxAge: Duration.days(1),
      },
    });
    const accessLog = new LogGroup(this, 'AccessLog', {
      // The prefix keeps the account's log resource policy from growing with each API.
      logGroupName: `/aws/vendedlogs/${stackName}/api`,
      retention: settings.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: settings.throttleRate, burstLimit: settings.throttleBurst },
      accessLogSettings: {
        destination: new LogGroupLogDestination(accessLog),
        format: AccessLogFormat.custom(JSON.stringify(logFields)),
      },
    });
    this.url = this.api.apiEndpoint;
    this.domainName = `${this.api.apiId}.execute-api.${region}.${urlSuffix}`;
    Validations.of(this.api).acknowledge({
      id: 'AwsSolutions-APIG4',
      reason:
        'The API is public and holds nothing of its users: it is guarded by throttling and by a bound on what runs at a time.',
    });
  }

  /** Sends an endpoint's routes to its function. */
  route({ name, routes }: Endpoint, target: IFunction): void {
    const integration = new HttpLambdaIntegration(name, target);
    for (const route of routes) {
      const [method, path] = route.split(' ') as [keyof typeof HttpMethod, string];
      this.api.addRoutes({ path, methods: [HttpMethod[method]], integration });
    }
  }
}
