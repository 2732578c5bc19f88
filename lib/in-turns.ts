import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest that work goes on before the event loop has its turn, in milliseconds. */
const turnMs = 5;

/** Does work for each item, and lets requests be answered meanwhile. */
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
