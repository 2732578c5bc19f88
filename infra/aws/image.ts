import { IgnoreMode } from 'aws-cdk-lib';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import type { Construct } from 'constructs';
import type { Settings } from './settings.ts';

/**
 * What is not part of the image, beside what .dockerignore names: it is left out of the upload and of the
 * hash, so that a change to a document or a test deploys nothing.
 */
const notInImage = [
  '.git',
  '.ci',
  '.github',
  '**/node_modules',
  '**/cdk.out',
  '**/*.log',
  'dist',
  'coverage',
  'models/*',
  '!models/starter',
  'models/starter/catalog/index*',
  'images',
  'test',
  'bench',
  'docs',
  'tools',
  'infra/aws',
  '*.md',
];

/**
 * The repository's image without a model (its Dockerfile's stage `runtime`), which `cdk deploy` builds and
 * pushes to ECR. All functions share it; each has a command of its own.
 *
 * @param directory the repository's root
 */
export const runtimeImage = (
  scope: Construct,
  directory: string,
  { architecture, lance }: Settings,
): DockerImageAsset =>
  new DockerImageAsset(scope, 'Image', {
    directory,
    target: 'runtime',
    ...(lance && { buildArgs: { LANCE: 'true' } }),
    platform: architecture === 'arm64' ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64,
    ignoreMode: IgnoreMode.DOCKER,
    exclude: notInImage,
  });
