import type { SearchPage } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import { part } from '../dom.ts';
import { language } from '../language/language.ts';

/** Minimum time from the start of one attempt to the start of the next. */
const pauseMs = 1000;

/** The pause doubles with every failure, up to this limit. */
const longestPauseMs = 30_000;

const storageKey = 'look';

interface LookoutEvents {
  /** A small camera frame; `null` if the camera has no picture yet. */
  frame: () => Promise<Blob | null>;
  /** Searches by a frame. */
  look: (frame: Blob, signal: AbortSignal) => Promise<SearchPage>;
  /** An album was recognised; the lookout has stopped. */
  found: (frame: Blob, page: SearchPage) => void;
}

type State = 'idle' | 'looking' | 'waiting';

/**
 * Searches by camera frames about once a second, one at a time, until an album is recognised. A switch turns this
 * off, which is remembered. It is off by default on metered connections, and hidden if the service has no recognition.
 */
export class Lookout {
  readonly #choice = part('camera-look-choice', HTMLElement);
  readonly #switch = part('camera-look', HTMLInputElement);
  readonly #status = part('camera-status', HTMLElement);
  readonly #events: LookoutEvents;
  #available = false;
  #live = false;
  #state: State = 'idle';
  #ending: AbortController | undefined;

  constructor(events: LookoutEvents) {
    this.#events = events;
    this.#switch.addEventListener('change', () => {
      remember(this.#switch.checked);
      this.#update();
    });
    language.onChange(() => {
      this.#show(this.#state);
    });
  }

  /** Whether the service recognises albums. */
  get available(): boolean {
    return this.#available;
  }

  set available(available: boolean) {
    this.#available = available;
    this.#choice.hidden = !available;
    this.#update();
  }

  /** Called when the camera shows a picture. */
  start(): void {
    if (this.#live) return;
    this.#switch.checked = !wasSwitchedOff() && !isMetered();
    this.#live = true;
    this.#update();
  }

  /** Called when the camera stops. Aborts the current request. */
  stop(): void {
    this.#live = false;
    this.#update();
  }

  #update(): void {
    const wanted = this.#live && this.#available && this.#switch.checked;
    if (wanted === (this.#ending !== undefined)) return;
    this.#ending?.abort();
    this.#ending = wanted ? new AbortController() : undefined;
    this.#show(wanted ? 'looking' : 'idle');
    if (this.#ending) void this.#look(this.#ending.signal);
  }

  async #look(signal: AbortSignal): Promise<void> {
    const isOver = () => signal.aborted;
    let failures = 0;
    while (!isOver()) {
      await whileHidden(signal);
      const frame = await this.#events.frame();
      const next = performance.now() + pauseMs;
      let pause = 0;
      try {
        if (isOver() || (frame && (await this.#try(frame, signal)))) return;
        failures = 0;
        this.#show('looking');
      } catch (error) {
        if (isOver()) return;
        if (!(error instanceof Problem)) throw error;
        failures += 1;
        pause = Math.min(longestPauseMs, pauseMs * 2 ** failures);
        pause = Math.max(pause, 1000 * (error.retryAfter ?? 0));
        this.#show('waiting');
      }
      await sleep(Math.max(next - performance.now(), pause), signal);
    }
  }

  /** @returns whether to stop searching */
  async #try(frame: Blob, signal: AbortSignal): Promise<boolean> {
    const page = await this.#events.look(frame, signal);
    if (signal.aborted) return true;
    if (page.identified === null)
      this.available = false; // recognition has been turned off in the service
    else if (page.identified.length > 0) this.#events.found(frame, page);
    else return false;
    return true;
  }

  /** Updates the status text only if it changed: screen readers announce every update. */
  #show(state: State): void {
    this.#state = state;
    const { looking, noAnswer } = language.words.camera;
    const text = { idle: '', looking, waiting: noAnswer }[state];
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }
}

/** Resolves after a delay, or on abort. */
const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      window.clearTimeout(timer);
      resolve();
    });
  });

/** Resolves once the page is visible, or on abort. */
const whileHidden = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const check = () => {
      if (document.visibilityState === 'visible' || signal.aborted) resolve();
    };
    document.addEventListener('visibilitychange', check, { signal });
    signal.addEventListener('abort', check);
    check();
  });

/** The Network Information API, which only some browsers have. */
interface Connection {
  saveData?: boolean;
  type?: string;
  effectiveType?: string;
}

/** Whether sending a picture per second costs the user money, or is too much for the connection. Unknown means no. */
function isMetered(): boolean {
  const { connection = {} } = navigator as Navigator & { connection?: Connection };
  const { saveData = false, type, effectiveType } = connection;
  return saveData || type === 'cellular' || /^(slow-2g|2g|3g)$/.test(effectiveType ?? '');
}

/** Stores only “off”: on a metered connection, “on” holds for this time only. */
function remember(on: boolean): void {
  try {
    if (on) localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, 'off');
  } catch {
    // then it holds until the camera is closed
  }
}

function wasSwitchedOff(): boolean {
  try {
    return localStorage.getItem(storageKey) === 'off';
  } catch {
    return false;
  }
}
