import type { SearchPage } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import { part } from '../dom.ts';
import { fitInto } from './crop.ts';
import { Lookout } from './lookout.ts';

/** A photo is cropped and made small after this: it should lose little here. */
const jpegQuality = 0.92;

/** Longer side and quality of the frames that are tried by themselves: some 40 KB. */
const frameEdge = 640;
const frameQuality = 0.8;

/** Whether one points with a finger and has no mouse. */
export const isPhone = (): boolean =>
  window.matchMedia('(hover: none) and (pointer: coarse)').matches;

/** Whether a page may use a camera here: only pages from HTTPS or localhost may. */
const hasCamera = (): boolean => 'mediaDevices' in navigator;

interface CameraEvents {
  photo: (photo: Blob) => void;
  /** Searches by what the camera sees. */
  look: (frame: Blob, signal: AbortSignal) => Promise<SearchPage>;
  /** Something was recognised in what it sees. */
  found: (frame: Blob, page: SearchPage) => void;
  failed: (problem: Problem) => void;
  /** The phone's own camera is wanted. */
  useOwn: () => void;
}

/** The dialog with a live picture of the camera and a button that takes it. */
export class Camera {
  readonly #dialog = part('camera', HTMLDialogElement);
  readonly #video = part('camera-preview', HTMLVideoElement);
  readonly #capture = part('camera-capture', HTMLButtonElement);
  readonly #events: CameraEvents;
  readonly #lookout: Lookout;

  constructor(events: CameraEvents) {
    this.#events = events;
    this.#lookout = new Lookout({
      frame: () => this.#picture(frameEdge, frameQuality),
      look: events.look,
      found: (frame, page) => {
        this.#dialog.close();
        events.found(frame, page);
      },
    });
    const own = part('camera-own', HTMLButtonElement);
    own.hidden = !isPhone();
    own.addEventListener('click', () => {
      this.#dialog.close();
      events.useOwn();
    });
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
      this.#lookout.start();
    });
  }

  /** Whether the service recognises albums, and the camera may look for them by itself. */
  set looksByItself(available: boolean) {
    this.#lookout.available = available;
  }

  /**
   * Whether the page shows the camera's picture itself. For a mere photo a phone has a better program than a page
   * can be: there the file input opens it.
   */
  get hasLivePreview(): boolean {
    return hasCamera() && (!isPhone() || this.#lookout.available);
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

  close(): void {
    this.#dialog.close();
  }

  async #take(): Promise<void> {
    const photo = await this.#picture(Infinity, jpegQuality);
    if (!this.#dialog.open) return; // an album was recognised meanwhile
    this.#dialog.close();
    if (photo) this.#events.photo(photo);
  }

  /**
   * What the camera sees, as JPEG.
   *
   * @param edge its longer side in pixels, at most
   */
  async #picture(edge: number, quality: number): Promise<Blob | null> {
    const { videoWidth, videoHeight } = this.#video;
    if (videoWidth === 0) return null;
    const { width, height } = fitInto(edge, { width: videoWidth, height: videoHeight });
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    canvas.getContext('2d')?.drawImage(this.#video, 0, 0, width, height);
    return new Promise((resolve) => {
      canvas.toBlob(resolve, 'image/jpeg', quality);
    });
  }

  #stop(): void {
    this.#lookout.stop();
    const stream = this.#video.srcObject;
    if (stream instanceof MediaStream) stopStream(stream);
    this.#video.srcObject = null;
  }
}

function stopStream(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
