import type { SearchPage } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import { part } from '../dom.ts';
import { language } from '../language/language.ts';

/** From the beginning of one try to that of the next, at least. */
const pauseMs = 1000;

/** While tries fail, the pause is doubled up to this. */
const longestPauseMs = 30_000;

const storageKey = 'look';

interface LookoutEvents {
  /** What the camera sees, small; `null` where it sees nothing yet. */
  frame: () => Promise<Blob | null>;
  /** Searches by a frame. */
  look: (frame: Blob, signal: AbortSignal) => Promise<SearchPage>;
  /** Something was recognised: no more is tried. */
  found: (frame: Blob, page: SearchPage) => void;
}

type State = 'idle' | 'looking' | 'waiting';

/**
 * Tries what the camera sees about once a second, never two frames at a time, until an album is recognised. Whoever
 * does not want that switches it off, which is remembered. It is off by itself where sending costs, and stays
 * hidden where the service recognises nothing.
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

  /** The camera's picture is there. */
  start(): void {
    if (this.#live) return;
    this.#switch.checked = !wasSwitchedOff() && !isMetered();
    this.#live = true;
    this.#update();
  }

  /** It is gone; what is on its way is given up. */
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

  /** @returns whether no more is to be tried */
  async #try(frame: Blob, signal: AbortSignal): Promise<boolean> {
    const page = await this.#events.look(frame, signal);
    if (signal.aborted) return true;
    if (page.identified === null)
      this.available = false; // it has been switched off meanwhile
    else if (page.identified.length > 0) this.#events.found(frame, page);
    else return false;
    return true;
  }

  /** Tells it, once: screen readers say whatever is put in anew. */
  #show(state: State): void {
    this.#state = state;
    const { looking, noAnswer } = language.words.camera;
    const text = { idle: '', looking, waiting: noAnswer }[state];
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }
}

/** Resolves after a while, or as soon as it is given up. */
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

/** Resolves once the page can be seen, or as soon as it is given up. */
const whileHidden = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const check = () => {
      if (document.visibilityState === 'visible' || signal.aborted) resolve();
    };
    document.addEventListener('visibilitychange', check, { signal });
    signal.addEventListener('abort', check);
    check();
  });

/** What some browsers tell of their connection. */
interface Connection {
  saveData?: boolean;
  type?: string;
  effectiveType?: string;
}

/** Whether a picture a second would cost its sender, or is too much for the line. Unknown means no. */
function isMetered(): boolean {
  const { connection = {} } = navigator as Navigator & { connection?: Connection };
  const { saveData = false, type, effectiveType } = connection;
  return saveData || type === 'cellular' || /^(slow-2g|2g|3g)$/.test(effectiveType ?? '');
}

/** Only “off” is kept: whoever switches it on where it costs does so for this time. */
function remember(on: boolean): void {
  try {
    if (on) localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, 'off');
  } catch {
    // it holds until the camera is closed, then
  }
}

function wasSwitchedOff(): boolean {
  try {
    return localStorage.getItem(storageKey) === 'off';
  } catch {
    return false;
  }
}
