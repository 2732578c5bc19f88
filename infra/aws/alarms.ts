import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import {
  Alarm,
  ComparisonOperator,
  Stats,
  TreatMissingData,
  type Metric,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Endpoint } from './endpoints.ts';
import type { Settings } from './settings.ts';

const period = Duration.minutes(5);

interface Watch {
  readonly says: string;
  readonly metric: Metric;
  readonly threshold: number;
  readonly periods?: number;
}

/** What wakes somebody up, and the topic that carries it. */
export class Alarms extends Construct {
  readonly topic: Topic;

  constructor(scope: Construct, id: string, { alarmEmail }: Settings) {
    super(scope, id);
    // A key of our own: CloudWatch may not use the one that AWS manages for SNS.
    const key = new Key(this, 'Key', {
      description: 'Encrypts the alarms on their way',
      enableKeyRotation: true,
      pendingWindow: Duration.days(7),
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.topic = new Topic(this, 'Topic', { masterKey: key, enforceSSL: true });
    const principals = [new ServicePrincipal('cloudwatch.amazonaws.com')];
    // Whose alarms they are is the topic's business: the key alone lets nobody publish.
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsEncrypt',
        principals,
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
      }),
    );
    // `enforceSSL` gives the topic a policy, in place of the default one that lets the account's alarms in.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals,
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    if (alarmEmail !== undefined) this.topic.addSubscription(new EmailSubscription(alarmEmail));
  }

  /** Crashes and time-outs, throttled invocations, and slow ones. */
  watchFunction({ name, slowMs }: Endpoint, target: IFunction): void {
    this.alarm(`${name}-errors`, {
      says: `${name} crashed or ran out of time`,
      metric: target.metricErrors({ period }),
      threshold: 1,
    });
    this.alarm(`${name}-throttles`, {
      says: `${name} was throttled`,
      metric: target.metricThrottles({ period }),
      threshold: 1,
    });
    this.alarm(`${name}-slow`, {
      says: `one in a hundred invocations of ${name} took ${String(slowMs)} ms or more, for 15 minutes`,
      metric: target.metricDuration({ period, statistic: Stats.percentile(99) }),
      threshold: slowMs,
      periods: 3,
    });
  }

  /** Answers of 500 and above, whoever gave them. */
  watchApi(api: HttpApi): void {
    this.alarm('api-server-errors', {
      says: 'the API gave five or more answers of 500 and above in five minutes',
      metric: api.metricServerError({ period, statistic: Stats.SUM }),
      threshold: 5,
    });
  }

  /** Goes off when the metric reaches the threshold in so many periods of five minutes in a row. */
  private alarm(id: string, { says, metric, threshold, periods = 1 }: Watch): void {
    new Alarm(this, id, {
      alarmDescription: says,
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    }).addAlarmAction(new SnsAction(this.topic));
  }
}
