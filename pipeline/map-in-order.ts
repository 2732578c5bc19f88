import pLimit from 'p-limit';

/**
 * Works on several items at a time and yields the results in the order of the items. It ends with the first failure, in
 * that order, or when the caller stops reading. Work that has not started by then never starts.
 */
export async function* mapInOrder<Item, Result>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const limit = pLimit(concurrency);
  const working = items.map((item) => limit(() => work(item)));
  for (const one of working) one.catch(() => undefined); // awaited below, in order
  try {
    for (const one of working) yield await one;
  } finally {
    limit.clearQueue();
  }
}
