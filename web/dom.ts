/** The few things with which the page's modules touch the document. */

type Child = Node | string;

interface Options {
  class?: string;
  text?: string;
  /** Attributes; `undefined` leaves one out. */
  attributes?: Record<string, string | undefined>;
  onClick?: (event: MouseEvent) => void;
}

/** Makes an element. Text goes in as text, never as markup. */
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

/** A part of `index.html`. @throws Error where there is none of that kind */
export function part<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} "${id}"`);
  return element;
}

export type IconName =
  'camera' | 'close' | 'filter' | 'picture' | 'retry' | 'search' | 'similar' | 'star' | 'warning';

const svg = 'http://www.w3.org/2000/svg';

/** An icon of the sprite in `index.html`: decoration, so a text beside it has to say the same. */
export function icon(name: IconName): SVGSVGElement {
  const element = document.createElementNS(svg, 'svg');
  element.setAttribute('class', 'icon');
  element.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(svg, 'use');
  use.setAttribute('href', `#icon-${name}`);
  element.append(use);
  return element;
}
