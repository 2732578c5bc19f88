import { make } from '../dom.ts';
import { language } from '../language/language.ts';
import {
  cornerAt,
  corners,
  moveCorner,
  moveWhole,
  wholePicture,
  type Corner,
  type Crop,
} from './crop.ts';

/** How far an arrow key moves a corner, as a fraction of the picture; the larger step is with Shift. */
const step = 0.01;
const largeStep = 0.1;

const arrows: Record<string, readonly [x: number, y: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/**
 * A crop frame over a picture. Its corners can be dragged by mouse or touch or moved with the arrow keys;
 * dragging its inside moves the whole frame.
 */
export class Cropper {
  readonly #box: HTMLElement;
  readonly #frame = make('div', { class: 'crop-frame' });
  readonly #handles: ReadonlyMap<Corner, HTMLElement>;
  #crop: Crop = wholePicture;

  /** @param box contains only the picture, and has its displayed size */
  constructor(box: HTMLElement) {
    this.#box = box;
    this.#handles = new Map(corners.map((corner) => [corner, this.#makeHandle(corner)]));
    box.append(make('div', { class: 'crop-shade' }, this.#frame), ...this.#handles.values());
    this.#dragWith(this.#frame, (start, byX, byY) => moveWhole(start, byX, byY));
    this.translate();
  }

  get crop(): Crop {
    return this.#crop;
  }

  set crop(crop: Crop) {
    this.#crop = crop;
    this.#show();
  }

  translate(): void {
    for (const [corner, handle] of this.#handles)
      handle.setAttribute('aria-label', language.words.stage.corners[corner]);
    this.#show();
  }

  #makeHandle(corner: Corner): HTMLElement {
    // a slider, so that screen readers pass the arrow keys on; `aria-valuetext` describes its value
    const handle = make('div', {
      class: `crop-handle ${corner}`,
      attributes: {
        role: 'slider',
        tabindex: '0',
        'aria-valuemin': '0',
        'aria-valuemax': '100',
        'aria-describedby': 'crop-keys',
      },
    });
    this.#dragWith(handle, (start, byX, byY) => {
      const { x, y } = cornerAt(start, corner);
      return moveCorner(start, corner, x + byX, y + byY);
    });
    handle.addEventListener('keydown', (event) => {
      const arrow = arrows[event.key];
      if (!arrow) return;
      event.preventDefault();
      const by = event.shiftKey ? largeStep : step;
      const { x, y } = cornerAt(this.#crop, corner);
      this.crop = moveCorner(this.#crop, corner, x + by * arrow[0], y + by * arrow[1]);
    });
    return handle;
  }

  /** @param move returns the new crop from the crop at the drag's start and the distance in fractions of the picture */
  #dragWith(handle: HTMLElement, move: (start: Crop, byX: number, byY: number) => Crop): void {
    handle.addEventListener('pointerdown', (down) => {
      if (down.button !== 0) return;
      down.preventDefault(); // prevents text selection during the drag
      handle.focus();
      handle.setPointerCapture(down.pointerId);
      const start = this.#crop;
      const { width, height } = this.#box.getBoundingClientRect();
      const follow = ({ clientX, clientY }: PointerEvent) => {
        this.crop = move(
          start,
          (clientX - down.clientX) / width,
          (clientY - down.clientY) / height,
        );
      };
      handle.addEventListener('pointermove', follow);
      handle.addEventListener(
        'lostpointercapture',
        () => {
          handle.removeEventListener('pointermove', follow);
        },
        { once: true },
      );
    });
  }

  #show(): void {
    for (const [edge, share] of Object.entries(this.#crop))
      this.#box.style.setProperty(`--${edge}`, String(share));
    for (const [corner, handle] of this.#handles) {
      const { x, y } = cornerAt(this.#crop, corner);
      handle.setAttribute('aria-valuenow', String(Math.round(100 * x)));
      handle.setAttribute(
        'aria-valuetext',
        language.words.stage.position(language.percent(x), language.percent(y)),
      );
    }
  }
}
