import { part } from './dom.ts';

/** Announces a text to screen readers in a polite live region; nothing is visible. */
export function announce(text: string): void {
  const region = part('announcements', HTMLElement);
  // an unchanged text would not be announced a second time
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
