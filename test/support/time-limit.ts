import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Loads a module and answers each message with what its function returns, or with the error's message. */
const program = `
  const { parentPort, workerData } = require('node:worker_threads');
  import('tsx/esm/api')
    .then(({ tsImport }) => tsImport(workerData.module, workerData.parent))
    .then((module) => module[workerData.name](...workerData.parameters))
    .then((value) => parentPort.postMessage({ value }));
`;

/**
 * Calls an exported function in a thread of its own, which is ended where the function does not return: a loop
 * without end fails the test instead of hanging it.
 *
 * @param module path from the repository's root
 * @param parameters values that can be cloned
 * @throws AbortError after `ms` milliseconds; what the function throws
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
