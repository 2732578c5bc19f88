import { part } from '../dom.ts';
import { language } from '../language/language.ts';
import { wholePicture, type Crop } from './crop.ts';
import { Cropper } from './cropper.ts';
import { shrink } from './shrink.ts';

/** A picture as it was chosen, and what is kept of it. */
export interface ChosenPicture {
  original: Blob;
  crop: Crop;
}

interface StageEvents {
  /** The part to search by, made small, and what it was made of. */
  search: (picture: Blob, chosen: ChosenPicture) => Promise<void>;
  /** Another picture is wanted. */
  pickOther: () => void;
}

/** The dialog in which a picture is shown at once and cropped before it is searched by. */
export class Stage {
  readonly #dialog = part('stage', HTMLDialogElement);
  readonly #image = part('stage-picture', HTMLImageElement);
  readonly #searchButton = part('stage-search', HTMLButtonElement);
  readonly #cropper = new Cropper(part('cropper', HTMLElement));
  readonly #events: StageEvents;
  #original: Blob | undefined;

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
   * @returns `false` where this browser can't read it; then the dialog stays as it was
   */
  async show({ original, crop }: ChosenPicture): Promise<boolean> {
    const url = URL.createObjectURL(original);
    if (!(await canShow(url))) {
      URL.revokeObjectURL(url);
      return false;
    }
    this.#forget();
    this.#original = original;
    this.#image.src = url;
    await this.#image.decode();
    this.#image.style.setProperty('--ratio', String(ratioOf(this.#image)));
    this.#cropper.crop = crop;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#searchButton.focus();
    return true;
  }

  close(): void {
    this.#dialog.close();
  }

  async #search(): Promise<void> {
    const original = this.#original;
    if (!original || this.#searchButton.ariaBusy === 'true') return;
    this.#searchButton.ariaBusy = 'true';
    try {
      const { crop } = this.#cropper;
      const picture = await shrink(this.#image, crop);
      this.close();
      await this.#events.search(picture, { original, crop });
    } finally {
      this.#searchButton.ariaBusy = 'false';
    }
  }

  #forget(): void {
    if (this.#image.src) URL.revokeObjectURL(this.#image.src);
    this.#image.removeAttribute('src');
    this.#original = undefined;
  }
}

const ratioOf = ({ naturalWidth, naturalHeight }: HTMLImageElement) => naturalWidth / naturalHeight;

/** Whether the browser decodes it, and to some pixels: a drawing may have no size of its own. */
async function canShow(url: string): Promise<boolean> {
  const probe = new Image();
  probe.src = url;
  try {
    await probe.decode();
  } catch {
    return false;
  }
  return probe.naturalWidth > 0 && probe.naturalHeight > 0;
}
