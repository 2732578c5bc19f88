import { part } from './dom.ts';

/** Says something to screen readers, politely; nothing is seen. */
export function announce(text: string): void {
  const region = part('announcements', HTMLElement);
  // the same words twice in a row would not be said again
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
