import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest slice of work before the event loop runs, in milliseconds. */
const turnMs = 5;

/** Processes the items in slices; the event loop runs in between, so that requests are answered. */
export const inTurns = <Item>(
  items: Iterable<Item>,
  work: (item: Item, index: number) => void,
): Promise<void> => runInTurns(each(items, work));

function* each<Item>(items: Iterable<Item>, work: (item: Item, index: number) => void) {
  let index = 0;
  for (const item of items) {
    work(item, index);
    index += 1;
    yield;
  }
}

/**
 * Runs a generator likewise: it yields wherever the event loop may run.
 *
 * @returns what the generator returns
 * @throws the signal's reason, in the generator too
 */
export async function runInTurns<Result>(
  work: Generator<unknown, Result>,
  signal?: AbortSignal,
): Promise<Result> {
  let until = performance.now() + turnMs;
  for (let step = work.next(); ; step = work.next()) {
    if (step.done) return step.value;
    if (performance.now() < until) continue;
    await nextTurn();
    if (signal?.aborted) work.throw(signal.reason);
    until = performance.now() + turnMs;
  }
}
