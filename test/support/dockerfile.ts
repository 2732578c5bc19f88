import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './requests.ts';

/** The paths that the Dockerfile copies from the repository for a stage and the stages it builds on. */
export function copiedFor(target: string): string[] {
  const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').split('\n');
  const copied = new Map<string, string[]>();
  const needs = new Map<string, string[]>();
  let stage = '';
  for (const line of lines) {
    const [instruction, ...words] = line.trim().split(/\s+/);
    if (instruction === 'FROM') {
      stage = words.at(-1) ?? '';
      copied.set(stage, []);
      needs.set(stage, words.slice(0, 1));
    } else if (instruction === 'COPY') {
      const from = words.find((word) => word.startsWith('--from='))?.replace('--from=', '');
      const sources = words.filter((word) => !word.startsWith('--')).slice(0, -1);
      if (from === undefined) copied.get(stage)?.push(...sources);
      else needs.get(stage)?.push(from);
    }
  }
  const collect = (name: string): string[] => [
    ...(needs.get(name) ?? []).flatMap(collect),
    ...(copied.get(name) ?? []),
  ];
  return collect(target);
}
