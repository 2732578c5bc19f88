import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest slice of work before the event loop runs, in milliseconds. */
const turnMs = 5;

/** Processes the items in slices; the event loop runs in between, so that requests are answered. */
export async function inTurns<Item>(
  items: Iterable<Item>,
  work: (item: Item, index: number) => void,
): Promise<void> {
  let index = 0;
  let until = performance.now() + turnMs;
  for (const item of items) {
    work(item, index);
    index += 1;
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + turnMs;
  }
}
