import { part } from '../dom.ts';
import { language } from '../language/language.ts';
import { wholePicture, type Crop } from './crop.ts';
import { Cropper } from './cropper.ts';
import { shrink } from './shrink.ts';

/** The original picture, and the part of it that is kept. */
export interface ChosenPicture {
  original: Blob;
  crop: Crop;
}

interface StageEvents {
  /** Searches by a picture: the crop, scaled down, and the original it was cut from. */
  search: (picture: Blob, chosen: ChosenPicture) => Promise<void>;
  /** The user wants to choose another picture. */
  pickOther: () => void;
}

/** The dialog that shows the chosen picture and lets the user crop it before the search. */
export class Stage {
  readonly #dialog = part('stage', HTMLDialogElement);
  readonly #image = part('stage-picture', HTMLImageElement);
  readonly #searchButton = part('stage-search', HTMLButtonElement);
  readonly #box = part('cropper', HTMLElement);
  readonly #cropper = new Cropper(this.#box);
  readonly #events: StageEvents;
  /** The shown picture: the original file, and decoded. */
  #shown: { original: Blob; decoded: HTMLImageElement } | undefined;
  #turn = 0;

  constructor(events: StageEvents) {
    this.#events = events;
    this.#searchButton.addEventListener('click', () => void this.#search());
    part('stage-whole', HTMLButtonElement).addEventListener('click', () => {
      this.#cropper.crop = wholePicture;
    });
    part('stage-other', HTMLButtonElement).addEventListener('click', events.pickOther);
    part('stage-close', HTMLButtonElement).addEventListener('click', () => {
      this.close();
    });
    this.#dialog.addEventListener('close', () => {
      this.#forget();
    });
    language.onChange(() => {
      this.#cropper.translate();
    });
  }

  /**
   * Shows a picture.
   *
   * @returns `false` if this browser can't decode it; then the dialog is unchanged
   */
  async show({ original, crop }: ChosenPicture): Promise<boolean> {
    const turn = (this.#turn += 1);
    const url = URL.createObjectURL(original);
    const decoded = await decode(url);
    if (turn !== this.#turn || !decoded) {
      URL.revokeObjectURL(url);
      return decoded !== null; // superseded by another picture, or not decodable
    }
    this.#forget();
    this.#shown = { original, decoded };
    this.#image.src = url;
    this.#box.style.setProperty('--ratio', String(decoded.naturalWidth / decoded.naturalHeight));
    this.#cropper.crop = crop;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#searchButton.focus();
    return true;
  }

  close(): void {
    this.#dialog.close();
  }

  async #search(): Promise<void> {
    if (!this.#shown || this.#searchButton.ariaBusy === 'true') return;
    const { original, decoded } = this.#shown;
    const { crop } = this.#cropper;
    this.#searchButton.ariaBusy = 'true';
    try {
      const picture = await shrink(decoded, crop);
      this.close();
      await this.#events.search(picture, { original, crop });
    } finally {
      this.#searchButton.ariaBusy = 'false';
    }
  }

  #forget(): void {
    if (this.#image.src) URL.revokeObjectURL(this.#image.src);
    this.#image.removeAttribute('src');
    this.#shown = undefined;
  }
}

/** @returns `null` if the browser can't decode it, or if it has no size, as some SVGs */
async function decode(url: string): Promise<HTMLImageElement | null> {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    return null;
  }
  return image.naturalWidth > 0 && image.naturalHeight > 0 ? image : null;
}
