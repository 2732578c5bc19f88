import type { SearchPage } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import { part } from '../dom.ts';
import { fitInto } from './crop.ts';
import { Lookout } from './lookout.ts';

/** High, since the photo is cropped and re-encoded later. */
const jpegQuality = 0.92;

/** Longer side and quality of the frames that are searched automatically: about 40 KB. */
const frameEdge = 640;
const frameQuality = 0.8;

/** Whether the primary input is touch, without a mouse. */
export const isPhone = (): boolean =>
  window.matchMedia('(hover: none) and (pointer: coarse)').matches;

/** Whether the page may use a camera: browsers require HTTPS or localhost. */
const hasCamera = (): boolean => 'mediaDevices' in navigator;

interface CameraEvents {
  photo: (photo: Blob) => void;
  /** Searches by a camera frame. */
  look: (frame: Blob, signal: AbortSignal) => Promise<SearchPage>;
  /** An album was recognised in a frame. */
  found: (frame: Blob, page: SearchPage) => void;
  failed: (problem: Problem) => void;
  /** The user chose the phone's camera app. */
  useOwn: () => void;
}

/** The dialog with the camera's live preview and a button that takes a photo. */
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

  /** Whether the service recognises albums, so that frames can be searched automatically. */
  set looksByItself(available: boolean) {
    this.#lookout.available = available;
  }

  /**
   * Whether the page shows a live preview. For plain photos a phone's camera app is better than a page: there the
   * file input opens it.
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
      else stopStream(stream); // the dialog was closed during the permission prompt
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
   * The current camera frame as JPEG.
   *
   * @param edge maximum length of the longer side in pixels
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
