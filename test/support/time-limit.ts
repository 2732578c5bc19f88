import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Loads a module, calls its function and posts the result. */
const program = `
  const { parentPort, workerData } = require('node:worker_threads');
  import('tsx/esm/api')
    .then(({ tsImport }) => tsImport(workerData.module, workerData.parent))
    .then((module) => module[workerData.name](...workerData.parameters))
    .then((value) => parentPort.postMessage({ value }));
`;

/**
 * Calls an exported function in a separate thread, which is terminated if the function does not return, so that an
 * endless loop fails the test instead of hanging it.
 *
 * @param module path relative to the repository's root
 * @param parameters structured-cloneable values
 * @throws AbortError after `ms` milliseconds, or the function's error
 */
export async function callWithin<T>(
  ms: number,
  module: string,
  name: string,
  ...parameters: unknown[]
): Promise<T> {
  const parent = import.meta.url;
  const worker = new Worker(program, {
    eval: true,
    workerData: { module: new URL(`../../${module}`, parent).href, name, parameters, parent },
  });
  try {
    const [{ value }] = (await once(worker, 'message', { signal: AbortSignal.timeout(ms) })) as [
      { value: T },
    ];
    return value;
  } finally {
    await worker.terminate();
  }
}
