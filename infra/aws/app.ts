// What `cdk` runs (see cdk.json): the stack, checked against the rules of AwsSolutions.
import { fileURLToPath } from 'node:url';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { readSettings } from './settings.ts';
import { ShazamVisualStack } from './stack.ts';

const app = new App();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
new ShazamVisualStack(app, 'ShazamVisual', {
  settings: readSettings((name): unknown => app.node.tryGetContext(name)),
  directory: fileURLToPath(new URL('../..', import.meta.url)),
});
