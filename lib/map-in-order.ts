import pLimit from 'p-limit';

/**
 * Works on several items at a time and gives the results in the order of the items. The first that fails, in that
 * order, ends it; so does whoever reads the results by no longer doing so. What has not begun then never does.
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
