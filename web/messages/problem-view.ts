import { apiKey } from '../api/key.ts';
import type { Problem, ProblemCode } from '../api/problem.ts';
import { icon, make } from '../dom.ts';
import { language } from '../language/language.ts';

/** Failures that a retry may resolve. The others need a different search, or the operator. */
const passing: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'malformed_upload',
  'upload_incomplete',
  'rate_limited',
  'busy',
  'starting',
  'out_of_time',
  'encoder_lost',
  'assets_missing',
  'assets_inconsistent',
  'index_unreadable',
  'model_unreadable',
  'catalog_unreadable',
  'storage_unavailable',
  'internal_error',
  'offline',
  'unreachable',
  'timed_out',
]);

/** Transient failures: the page retries automatically. */
const passingSoon: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'rate_limited',
  'busy',
  'starting',
  'out_of_time',
  'encoder_lost',
]);

/** Failures of this picture: another one may work. */
const ofThePicture: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'missing_file',
  'empty_file',
  'upload_too_large',
  'not_an_image',
  'unsupported_image',
  'unreadable_image',
  'image_too_large',
  'upload_not_found',
  'not_a_picture',
  'picture_too_large',
  'nothing_to_read',
  'camera_denied',
  'camera_missing',
]);

/** Failures that can be fixed by entering a key. */
const needingKey: ReadonlySet<ProblemCode> = new Set<ProblemCode>(['unauthorized', 'key_refused']);

export interface ProblemActions {
  /** Repeats what failed; absent if it can't be repeated. */
  retry?: () => void;
  /** Whether the page may retry automatically. */
  byItself?: boolean;
  pickOther?: () => void;
  /** Removes the message. */
  dismiss?: () => void;
}

/**
 * Shows what went wrong, what to do about it, and a retry button, disabled until the server's `Retry-After` has
 * passed. Screen readers announce the problem once; the countdown is only visual.
 */
export class ProblemView {
  readonly element: HTMLElement;
  #timer: number | undefined;
  readonly #retryOnline: (() => void) | undefined;
  #stopListening: (() => void) | undefined;

  constructor(problem: Problem, actions: ProblemActions) {
    const words = language.words.problems;
    const known: Partial<Record<string, { title: string; advice: string }>> = words.codes;
    // a service newer than the page may have more error codes
    const { title, advice } = known[problem.code] ?? words.codes.internal_error;
    const { retryAfter = 0 } = problem;
    const canRetry = actions.retry !== undefined && passing.has(problem.code);
    const retriesItself =
      canRetry && actions.byItself === true && passingSoon.has(problem.code) && retryAfter > 0;
    const lines = [advice];
    if (retriesItself) lines.push(words.byItself(retryAfter));
    if (canRetry && problem.code === 'offline') {
      lines.push(words.whenOnline);
      this.#retryOnline = actions.retry;
      if (actions.retry) window.addEventListener('online', actions.retry, { once: true });
    }
    this.element = make(
      'div',
      { class: 'problem', attributes: { 'data-code': problem.code } },
      icon('warning'),
      make(
        'div',
        { class: 'problem-text', attributes: { role: 'alert' } },
        make('h2', { text: title }),
        ...lines.map((text) => make('p', { text })),
      ),
      ...this.#keyForm(problem, actions),
      ...said(problem),
      this.#buttons(problem, actions, { canRetry, retriesItself, retryAfter }),
    );
  }

  /** Stops the timers and removes the message. */
  remove(): void {
    window.clearInterval(this.#timer);
    if (this.#retryOnline) window.removeEventListener('online', this.#retryOnline);
    this.#stopListening?.();
    this.element.remove();
  }

  /** A form for the missing key. When any such form is submitted, all visible refused requests are retried. */
  #keyForm({ code }: Problem, { retry }: ProblemActions): HTMLElement[] {
    if (!needingKey.has(code) || !retry) return [];
    this.#stopListening = apiKey.onChange(() => {
      if (this.element.checkVisibility()) retry();
    });
    const words = language.words.problems.key;
    const field = make('input', {
      attributes: {
        type: 'password',
        autocomplete: 'off',
        required: '',
        pattern: ' *[!-~]+ *', // characters allowed in a header
        'aria-label': words.label,
        placeholder: words.label,
      },
    });
    const button = make('button', { class: 'button primary', text: words.use });
    const form = make('form', { class: 'describe-field' }, field, button);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      apiKey.enter(field.value.trim());
    });
    return [form];
  }

  #buttons(
    problem: Problem,
    { retry, pickOther, dismiss }: ProblemActions,
    how: { canRetry: boolean; retriesItself: boolean; retryAfter: number },
  ): HTMLElement {
    const words = language.words.problems;
    const buttons: HTMLElement[] = [];
    if (how.canRetry && retry) buttons.push(this.#retryButton(retry, how));
    if (pickOther && ofThePicture.has(problem.code))
      buttons.push(make('button', { class: 'button', text: words.other, onClick: pickOther }));
    if (dismiss)
      buttons.push(
        make('button', { class: 'quiet-button', text: words.dismiss, onClick: dismiss }),
      );
    for (const button of buttons) button.setAttribute('type', 'button');
    return make('div', { class: 'problem-actions' }, ...buttons);
  }

  #retryButton(
    retry: () => void,
    { retriesItself, retryAfter }: { retriesItself: boolean; retryAfter: number },
  ): HTMLElement {
    const words = language.words.problems;
    const label = make('span');
    const button = make('button', { class: 'button' }, icon('retry'), label);
    let left = retryAfter;
    // not `disabled`, which would drop the focus
    const show = () => {
      button.ariaDisabled = String(left > 0);
      label.textContent = left > 0 ? words.retryIn(left) : words.retry;
    };
    show();
    button.addEventListener('click', () => {
      if (left <= 0) retry();
    });
    if (left > 0)
      this.#timer = window.setInterval(() => {
        left -= 1;
        show();
        if (left > 0) return;
        window.clearInterval(this.#timer);
        if (retriesItself) retry();
      }, 1000);
    return button;
  }
}

/** The server's sentence about this request, and the request id for its log. */
function said({ detail, requestId }: Problem): HTMLElement[] {
  if (detail === undefined) return [];
  const words = language.words.problems;
  return [
    make(
      'details',
      { class: 'problem-details' },
      make('summary', { text: words.said }),
      make('p', { text: detail, attributes: { lang: 'en' } }),
      ...(requestId === undefined
        ? []
        : [make('p', {}, `${words.requestId} `, make('code', { text: requestId }))]),
    ),
  ];
}
