import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { readSettings } from '../../infra/aws/settings.ts';
import { ShazamVisualStack } from '../../infra/aws/stack.ts';
import { root } from './requests.ts';

/** A resource of a template; see `readable` for the format of its values. */
export interface Resource {
  /** The logical id, without its hash. */
  id: string;
  type: string;
  properties: Record<string, unknown>;
  deletionPolicy: string | undefined;
}

export interface Statement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource: string | string[];
  Condition?: object;
  Principal?: unknown;
}

interface PlainTemplate {
  Resources: Record<
    string,
    { Type: string; Properties?: Record<string, unknown>; DeletionPolicy?: string }
  >;
  Outputs: Record<string, { Value: string }>;
}

interface ImageSource {
  directory: string;
  dockerBuildTarget: string;
  platform: string;
}

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The stack as synthesized by `cdk synth -c name=value …`, without network access. */
export class Synthesis {
  readonly stack: ShazamVisualStack;
  /** Folder of the cloud assembly: template, manifests and the image's build context. */
  readonly outdir = mkdtempSync(join(tmpdir(), 'cdk-'));
  readonly resources: Resource[];
  readonly outputs: Record<string, string>;

  constructor(settings: Record<string, string> = {}) {
    folders.push(this.outdir);
    const { context } = JSON.parse(
      readFileSync(join(root, 'infra', 'aws', 'cdk.json'), 'utf8'),
    ) as { context: Record<string, unknown> };
    const app = new App({ context, outdir: this.outdir, analyticsReporting: false });
    this.stack = new ShazamVisualStack(app, 'ShazamVisual', {
      settings: readSettings((name) => settings[name]),
      directory: root,
    });
    // `fromStack` also rejects circular dependencies.
    const template = readable(Template.fromStack(this.stack).toJSON()) as PlainTemplate;
    this.resources = Object.entries(template.Resources).map(([id, resource]) => ({
      id: plainId(id),
      type: resource.Type,
      properties: resource.Properties ?? {},
      deletionPolicy: resource.DeletionPolicy,
    }));
    this.outputs = Object.fromEntries(
      Object.entries(template.Outputs).map(([name, { Value }]) => [name, Value]),
    );
  }

  /** @param type without `AWS::` */
  ofType(type: string): Resource[] {
    return this.resources.filter((resource) => resource.type === `AWS::${type}`);
  }

  byId(id: string): Resource {
    return theOne(
      this.resources.filter((resource) => resource.id === id),
      id,
    );
  }

  /** The function that runs `functions/<name>`. */
  functionNamed(name: string): Resource {
    const command = JSON.stringify({ Command: [`functions/${name}.handler`] });
    return theOne(
      this.ofType('Lambda::Function').filter(
        (one) => JSON.stringify(at(one, 'ImageConfig')) === command,
      ),
      name,
    );
  }

  /** The permissions of a function's role: each statement as `actions on resources if conditions`, sorted. */
  allowed(name: string): string[] {
    const role = String(at(this.functionNamed(name), 'Role')).replace('.Arn', '');
    return this.ofType('IAM::Policy')
      .filter((policy) => (policy.properties['Roles'] as string[]).includes(role))
      .flatMap((policy) => statements(policy))
      .map(({ Effect, Action, Resource: resources, Condition }) => {
        assert.equal(Effect, 'Allow');
        const condition = Condition ? ` if ${JSON.stringify(Condition)}` : '';
        return `${[Action].flat().sort().join('+')} on ${[resources].flat().sort().join(' ')}${condition}`;
      })
      .sort();
  }

  /** The source from which `cdk deploy` builds the image. */
  get image(): ImageSource {
    const manifest = JSON.parse(
      readFileSync(join(this.outdir, 'ShazamVisual.assets.json'), 'utf8'),
    ) as { dockerImages: Record<string, { source: ImageSource }> };
    return theOne(Object.values(manifest.dockerImages), 'image').source;
  }

  /** AwsSolutions rules that the stack violates without a suppression. */
  get findings(): string[] {
    const { violations } = new AwsSolutionsChecks().validateScope(this.stack);
    return violations.map(({ ruleName }) => ruleName);
  }
}

/** A resource's properties, a part of them, or `undefined`. */
export const at = (resource: Resource, ...path: string[]): unknown =>
  path.reduce<unknown>(
    (value, key) => (value as Record<string, unknown> | undefined)?.[key],
    resource.properties,
  );

export const statements = (resource: Resource, document = 'PolicyDocument') =>
  at(resource, document, 'Statement') as Statement[];

/** Asserts some of an object's properties by deep equality. */
export const has = (actual: unknown, some: Record<string, unknown>) => {
  for (const [name, value] of Object.entries(some))
    assert.deepEqual((actual as Record<string, unknown>)[name], value, name);
};

function theOne<T>(found: T[], what: string): T {
  const [first] = found;
  assert.ok(first !== undefined && found.length === 1, `one ${what}, not ${String(found.length)}`);
  return first;
}

/** A logical id without the hash that the CDK appends. */
const plainId = (id: string) => id.replace(/[0-9A-F]{8}$/, '');

/**
 * A template with its intrinsic functions written as text: `{"Ref": "Bucket1234ABCD"}` becomes `<Bucket>`,
 * `Fn::GetAtt` becomes `<Bucket.Arn>`, and `Fn::Join` and `Fn::Sub` are evaluated.
 */
function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value) as [string, unknown][];
  const [name, argument] = entries[0] ?? [];
  if (entries.length === 1) {
    if (name === 'Ref') return `<${plainId(argument as string)}>`;
    if (name === 'Fn::Sub') return (argument as string).replace(/\$\{([^}]+)\}/g, '<$1>');
    if (name === 'Fn::GetAtt') {
      const [id = '', attribute = ''] = argument as string[];
      return `<${plainId(id)}.${attribute}>`;
    }
    if (name === 'Fn::Join') {
      const [separator, parts] = argument as [string, unknown[]];
      return parts.map(readable).join(separator);
    }
  }
  return Object.fromEntries(entries.map(([key, inner]) => [key, readable(inner)]));
}
