/** Helpers for creating and finding elements. */

type Child = Node | string;

interface Options {
  class?: string;
  text?: string;
  /** An attribute whose value is `undefined` is not set. */
  attributes?: Record<string, string | undefined>;
  onClick?: (event: MouseEvent) => void;
}

/** Creates an element. Strings are inserted as text, never as markup. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  options: Options = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (options.class !== undefined) element.className = options.class;
  if (options.text !== undefined) element.textContent = options.text;
  for (const [name, value] of Object.entries(options.attributes ?? {}))
    if (value !== undefined) element.setAttribute(name, value);
  if (options.onClick) (element as HTMLElement).addEventListener('click', options.onClick);
  element.append(...children);
  return element;
}

/** Finds an element of `index.html` by id. @throws Error if it is missing or of another kind */
export function part<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} "${id}"`);
  return element;
}

export type IconName =
  'camera' | 'close' | 'filter' | 'picture' | 'retry' | 'search' | 'similar' | 'star' | 'warning';

const svg = 'http://www.w3.org/2000/svg';

/** An icon from the sprite in `index.html`. Hidden from screen readers, so a label next to it must say the same. */
export function icon(name: IconName): SVGSVGElement {
  const element = document.createElementNS(svg, 'svg');
  element.setAttribute('class', 'icon');
  element.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(svg, 'use');
  use.setAttribute('href', `#icon-${name}`);
  element.append(use);
  return element;
}
