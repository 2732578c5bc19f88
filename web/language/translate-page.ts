import { language } from './language.ts';

/** For each attribute in `index.html` that names a text: how the text is applied to the element. */
const places = {
  'data-words': (element: Element, text: string) => (element.textContent = text),
  'data-words-label': (element: Element, text: string) => {
    element.setAttribute('aria-label', text);
  },
  'data-words-placeholder': (element: Element, text: string) => {
    element.setAttribute('placeholder', text);
  },
  'data-words-alt': (element: Element, text: string) => {
    element.setAttribute('alt', text);
  },
};

/** Fills in the texts that `index.html` names by their path in the dictionary (`finder.title`). */
export function translatePage(): void {
  document.documentElement.lang = language.code;
  for (const [attribute, put] of Object.entries(places))
    for (const element of document.querySelectorAll(`[${attribute}]`))
      put(element, textAt(element.getAttribute(attribute) ?? ''));
}

function textAt(path: string): string {
  let found: unknown = language.words;
  for (const key of path.split('.')) found = (found as Record<string, unknown>)[key];
  if (typeof found !== 'string') throw new Error(`no text is called ${path}`);
  return found;
}
