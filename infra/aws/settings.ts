import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import * as z from 'zod';
import { parseApiKeys } from '../../lib/config/api-keys.ts';
import { AppError } from '../../lib/errors.ts';
import { integer, parseFields } from '../../lib/config/fields.ts';
import { endpoints, type EndpointName } from './endpoints.ts';

const retentionDays = Object.values(RetentionDays).filter(
  (days) => typeof days === 'number' && days !== RetentionDays.INFINITE,
) as RetentionDays[];

const names = endpoints.map(({ name }) => name) as [EndpointName, ...EndpointName[]];

/** Whole numbers by function, written as JSON: `{"search-by-text":20}`. */
const perFunction = z
  .string()
  .transform((text): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  })
  .pipe(z.partialRecord(z.enum(names), z.number().int().min(1).max(1000)));

const perFunctionExpected = `JSON of whole numbers from 1 to 1000 by function, such as {"search-by-text":20} (functions: ${names.join(', ')})`;

const flag = z
  .enum(['true', 'false'])
  .transform((value) => value === 'true')
  .describe('true or false');

/** What can be set with `cdk deploy -c name=value`, or in cdk.json's `context`. docs/deploy-aws.md has the table. */
const schema = z.object({
  architecture: z.enum(['arm64', 'x86_64']).describe('arm64 or x86_64').default('arm64'),
  assetsPrefix: z
    .string()
    .regex(/^[\w.-]+(\/[\w.-]+)*$/)
    .describe('a key prefix without slashes at its ends')
    .default('v1'),
  corsOrigins: z
    .string()
    .regex(/^(\*|https?:\/\/[^\s,/]+(,https?:\/\/[^\s,/]+)*)$/)
    .transform((origins) => origins.split(','))
    .describe('* or a comma-separated list of origins')
    .default(['*']),
  apiKeys: z.string().optional(), // read by parseApiKeys: no error may repeat it
  throttleRate: integer(1, 10_000).default(100),
  throttleBurst: integer(1, 5_000).default(200),
  reservedConcurrency: z
    .union([z.literal('off'), perFunction])
    .describe(`off, or ${perFunctionExpected}`)
    .default({}),
  provisionedConcurrency: perFunction.describe(perFunctionExpected).default({}),
  logRetentionDays: integer(1, 3653)
    .pipe(z.literal(retentionDays))
    .describe(`one of ${retentionDays.join(', ')}`)
    .default(RetentionDays.ONE_MONTH),
  alarmEmail: z.email().describe('an e-mail address').optional(),
  domainName: z
    .string()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/)
    .describe('a domain name')
    .optional(),
  certificateArn: z
    .string()
    .regex(/^arn:aws:acm:us-east-1:\d{12}:certificate\/[\w-]+$/)
    .describe('the ARN of a certificate in us-east-1 (where CloudFront looks for it)')
    .optional(),
  /** Whether the albums are in a LanceDB table below the prefix, instead of in files. */
  lance: flag.default(false),
  tracing: flag.default(false),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .describe('fatal, error, warn, info, debug, trace or silent')
    .default('info'),
});

export type Settings = Readonly<z.output<typeof schema>>;

export const settingNames = Object.keys(schema.shape);

/**
 * Reads and checks the settings.
 *
 * @param lookUp gives a setting's value: text, as the command line has it, or what cdk.json holds
 * @throws AppError `invalid_config`, naming each wrong setting, its value and what was expected
 */
export function readSettings(lookUp: (name: string) => unknown): Settings {
  const given: Record<string, string> = {};
  for (const name of settingNames) {
    const value = lookUp(name);
    if (value === undefined || value === '') continue;
    given[name] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  const settings = parseFields(schema, given, 'invalid_config');
  if (settings.apiKeys !== undefined) parseApiKeys(settings.apiKeys, 'apiKeys');
  if ((settings.domainName === undefined) !== (settings.certificateArn === undefined))
    throw new AppError(
      'invalid_config',
      'Expected domainName and certificateArn together but received one of them.',
    );
  for (const { name } of endpoints) {
    const reserved = reservedConcurrency(settings, name);
    const provisioned = settings.provisionedConcurrency[name] ?? 0;
    if (reserved !== undefined && provisioned > reserved)
      throw new AppError(
        'invalid_config',
        `Expected at most ${String(reserved)}, the reserved concurrency, for provisionedConcurrency of ${name} but received ${String(provisioned)}.`,
      );
  }
  return Object.freeze(settings);
}

/** How many of a function may run at a time; `undefined`: as many as the account has left. */
export const reservedConcurrency = (
  { reservedConcurrency: chosen }: Settings,
  name: EndpointName,
): number | undefined =>
  chosen === 'off'
    ? undefined
    : (chosen[name] ?? endpoints.find((endpoint) => endpoint.name === name)?.reservedConcurrency);
