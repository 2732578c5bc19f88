import { Problem } from '../api/problem.ts';
import { part } from '../dom.ts';

/** A photo is cropped and made small after this: it should lose little here. */
const jpegQuality = 0.92;

/** Whether one points with a finger and has no mouse. */
export const isPhone = (): boolean =>
  window.matchMedia('(hover: none) and (pointer: coarse)').matches;

/**
 * Whether the page shows the camera's picture itself. Phones have a better program for that than a page can
 * be: there the file input opens it. Only pages from HTTPS or localhost may use a camera.
 */
export const hasLivePreview = (): boolean => 'mediaDevices' in navigator && !isPhone();

/** The dialog with a live picture of the camera and a button that takes it. */
export class Camera {
  readonly #dialog = part('camera', HTMLDialogElement);
  readonly #video = part('camera-preview', HTMLVideoElement);
  readonly #capture = part('camera-capture', HTMLButtonElement);
  readonly #events: { photo: (photo: Blob) => void; failed: (problem: Problem) => void };

  constructor(events: { photo: (photo: Blob) => void; failed: (problem: Problem) => void }) {
    this.#events = events;
    this.#capture.addEventListener('click', () => void this.#take());
    part('camera-close', HTMLButtonElement).addEventListener('click', () => {
      this.#dialog.close();
    });
    this.#dialog.addEventListener('close', () => {
      this.#stop();
    });
    this.#video.addEventListener('playing', () => {
      this.#dialog.classList.add('live');
      this.#capture.disabled = false;
      this.#capture.focus();
    });
  }

  async open(): Promise<void> {
    this.#dialog.classList.remove('live');
    this.#capture.disabled = true;
    this.#dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: 'environment', width: { ideal: 1920 }, height: { ideal: 1080 } },
      });
      if (this.#dialog.open) this.#video.srcObject = stream;
      else stopStream(stream); // closed while the browser asked
    } catch (error) {
      this.#dialog.close();
      const denied = error instanceof DOMException && error.name === 'NotAllowedError';
      this.#events.failed(new Problem(denied ? 'camera_denied' : 'camera_missing'));
    }
  }

  async #take(): Promise<void> {
    const { videoWidth, videoHeight } = this.#video;
    const canvas = document.createElement('canvas');
    canvas.width = videoWidth;
    canvas.height = videoHeight;
    canvas.getContext('2d')?.drawImage(this.#video, 0, 0);
    const photo = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve, 'image/jpeg', jpegQuality);
    });
    this.#dialog.close();
    if (photo) this.#events.photo(photo);
  }

  #stop(): void {
    const stream = this.#video.srcObject;
    if (stream instanceof MediaStream) stopStream(stream);
    this.#video.srcObject = null;
  }
}

function stopStream(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
