import { make } from '../dom.ts';
import { language } from '../language/language.ts';
import type { Identified } from '../api/types.ts';

type Outline = Identified['outline'];

const svg = 'http://www.w3.org/2000/svg';

/**
 * The uploaded picture with outlines drawn over it, numbered if there are several. Shows the crop that was uploaded,
 * since the outlines are fractions of its size; it is available after a reload too.
 */
export class OutlinedPicture {
  readonly element: HTMLElement;
  readonly #url: string;

  constructor(picture: Blob, outlines: readonly Outline[]) {
    this.#url = URL.createObjectURL(picture);
    const alt = language.words.identified.picture(outlines.length);
    const image = make('img', { attributes: { src: this.#url, alt, draggable: 'false' } });
    this.element = make('div', { class: 'outlined' }, image);
    this.element.append(drawing(outlines));
    if (outlines.length > 1)
      this.element.append(...outlines.map((outline, at) => badge(outline, at + 1)));
    image.addEventListener('error', () => {
      this.element.hidden = true; // the API can decode formats that this browser can't
    });
  }

  /** Removes the element and frees the picture's URL. */
  remove(): void {
    this.element.remove();
    URL.revokeObjectURL(this.#url);
  }
}

/** The outlines as an SVG over the whole picture; parts outside it are clipped. */
function drawing(outlines: readonly Outline[]): SVGSVGElement {
  const element = document.createElementNS(svg, 'svg');
  element.setAttribute('viewBox', '0 0 1 1');
  element.setAttribute('preserveAspectRatio', 'none');
  element.setAttribute('aria-hidden', 'true');
  for (const outline of outlines)
    for (const name of ['outline-edge', 'outline']) {
      const polygon = document.createElementNS(svg, 'polygon');
      polygon.setAttribute('class', name);
      polygon.setAttribute('points', outline.map((point) => point.join(',')).join(' '));
      element.append(polygon);
    }
  return element;
}

/** The number of an outline, in the middle of its visible part. The list next to the picture has the same numbers. */
function badge(outline: Outline, number: number): HTMLElement {
  const element = make('span', {
    class: 'finding-number',
    text: String(number),
    attributes: { 'aria-hidden': 'true' },
  });
  const middle = (axis: 0 | 1) => {
    const inside = outline.map((point) => Math.min(1, Math.max(0, point[axis])));
    return (Math.min(...inside) + Math.max(...inside)) / 2;
  };
  element.style.left = `${String(100 * middle(0))}%`;
  element.style.top = `${String(100 * middle(1))}%`;
  return element;
}
