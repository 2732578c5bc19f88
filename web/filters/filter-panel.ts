import { inOrder, type Filters } from '../address.ts';
import type { ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { GenreCount, YearRange } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { ProblemView } from '../messages/problem-view.ts';

/** What the filters can take, as the catalog has it. */
interface Choices {
  genres: GenreCount[];
  years: YearRange;
}

/** The panel of filters. What they can take is asked for when it is first opened. */
export class FilterPanel {
  readonly #panel = part('filter-panel', HTMLElement);
  readonly #button = part('filter-button', HTMLButtonElement);
  readonly #client: ApiClient;
  readonly #change: (filters: Filters) => void;
  #choices: Choices | undefined;
  #filters: Filters;

  constructor(client: ApiClient, filters: Filters, change: (filters: Filters) => void) {
    this.#client = client;
    this.#filters = filters;
    this.#change = change;
    this.#button.addEventListener('click', () => {
      this.#open(this.#panel.hidden !== false);
    });
    language.onChange(() => {
      if (this.#choices) this.#draw(this.#choices);
    });
  }

  /** Shows what is in force. */
  show(filters: Filters): void {
    this.#filters = filters;
    if (this.#choices) this.#draw(this.#choices);
  }

  #open(open: boolean): void {
    this.#panel.hidden = !open;
    this.#button.ariaExpanded = String(open);
    if (open && !this.#choices) void this.#load();
  }

  async #load(): Promise<void> {
    const waiting = make('p', { class: 'hint', text: language.words.filters.loading });
    this.#panel.replaceChildren(waiting);
    try {
      const [genres, years] = await Promise.all([this.#client.genres(), this.#client.yearRange()]);
      this.#choices = { genres, years };
      this.#draw(this.#choices);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const retry = () => {
        view.remove();
        void this.#load();
      };
      const view = new ProblemView(error, { retry });
      this.#panel.replaceChildren(view.element);
    }
  }

  /** Draws the panel anew, and leaves the focus where it was. */
  #draw({ genres, years }: Choices): void {
    const focused = document.activeElement?.id;
    this.#panel.replaceChildren(
      this.#genreField(genres),
      ...(years.year_min === null || years.year_max === null
        ? []
        : [this.#yearField(years.year_min, years.year_max)]),
      this.#scoreField(),
      this.#bestNewMusicField(),
    );
    if (focused !== undefined && focused !== '') document.getElementById(focused)?.focus();
  }

  #genreField(genres: readonly GenreCount[]): HTMLElement {
    const chosen = new Set(this.#filters.genres);
    const boxes = genres.map(({ genre, albums }, i) => {
      const box = checkbox(`filter-genre-${String(i)}`, chosen.has(genre), (checked) => {
        const { genres: before } = this.#filters;
        this.#change({
          ...this.#filters,
          genres: checked ? [...before, genre] : before.filter((one) => one !== genre),
        });
      });
      const count = make('span', { class: 'count', text: language.number(albums) });
      return make('label', { class: 'choice' }, box, make('span', {}, genre, ' ', count));
    });
    return fieldset(language.words.filters.genres, 'choices', ...boxes);
  }

  #yearField(first: number, last: number): HTMLElement {
    const { yearMin, yearMax } = this.#filters;
    const yearInput = (id: string, value: number | null, placeholder: number) =>
      make('input', {
        attributes: {
          id,
          type: 'number',
          inputmode: 'numeric',
          min: String(first),
          max: String(last),
          placeholder: String(placeholder),
          value: value === null ? '' : String(value),
        },
      });
    const from = yearInput('filter-from', yearMin, first);
    const to = yearInput('filter-to', yearMax, last);
    const read = ({ value }: HTMLInputElement) => {
      const year = Number.parseInt(value, 10);
      return Number.isNaN(year) ? null : Math.min(last, Math.max(first, year));
    };
    for (const input of [from, to])
      input.addEventListener('change', () => {
        this.#change({ ...this.#filters, ...inOrder(read(from), read(to)) });
      });
    const words = language.words.filters;
    return fieldset(
      words.years,
      'years',
      make('label', {}, make('span', { text: words.from }), from),
      make('label', {}, make('span', { text: words.to }), to),
    );
  }

  #scoreField(): HTMLElement {
    const words = language.words.filters;
    const told = (score: number) =>
      score > 0 ? words.scoreFrom(language.number(score, 1)) : words.scoreAny;
    const value = this.#filters.scoreMin ?? 0;
    const slider = make('input', {
      attributes: {
        id: 'filter-score',
        type: 'range',
        min: '0',
        max: '10',
        step: '0.5',
        value: String(value),
        'aria-label': words.score,
        'aria-valuetext': told(value),
      },
    });
    const output = make('output', { text: told(value), attributes: { for: 'filter-score' } });
    slider.addEventListener('input', () => {
      output.textContent = told(slider.valueAsNumber);
      slider.setAttribute('aria-valuetext', told(slider.valueAsNumber));
    });
    slider.addEventListener('change', () => {
      const score = slider.valueAsNumber;
      this.#change({ ...this.#filters, scoreMin: score > 0 ? score : null });
    });
    return fieldset(words.score, 'score-filter', slider, output);
  }

  #bestNewMusicField(): HTMLElement {
    const box = checkbox('filter-best', this.#filters.bestNewMusic, (bestNewMusic) => {
      this.#change({ ...this.#filters, bestNewMusic });
    });
    const text = make('span', { text: language.words.filters.bestNewMusic });
    return make('div', { class: 'field' }, make('label', { class: 'choice' }, box, text));
  }
}

function checkbox(id: string, checked: boolean, change: (checked: boolean) => void) {
  const box = make('input', { attributes: { id, type: 'checkbox' } });
  box.checked = checked;
  box.addEventListener('change', () => {
    change(box.checked);
  });
  return box;
}

const fieldset = (legend: string, name: string, ...children: HTMLElement[]): HTMLElement =>
  make(
    'fieldset',
    { class: 'field' },
    make('legend', { text: legend }),
    make('div', { class: name }, ...children),
  );
