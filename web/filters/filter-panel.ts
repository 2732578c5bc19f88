import { inOrder, type Filters } from '../address.ts';
import type { ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { GenreCount, YearRange } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { ProblemView } from '../messages/problem-view.ts';

/** The values that the catalog offers for the filters. */
interface Choices {
  genres: GenreCount[];
  years: YearRange;
}

/** The filter panel. Its choices are loaded when it is first opened. */
export class FilterPanel {
  readonly #panel = part('filter-panel', HTMLElement);
  readonly #button = part('filter-button', HTMLButtonElement);
  readonly #client: ApiClient;
  readonly #change: (filters: Filters) => void;
  #choices: Choices | undefined;
  #filters: Filters;
  /** Each sets one control to the current filters. Controls are updated in place, so that focus is not lost. */
  #controls: (() => void)[] = [];

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

  /** Shows the current filters. */
  show(filters: Filters): void {
    this.#filters = filters;
    for (const control of this.#controls) control();
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

  #draw({ genres, years }: Choices): void {
    this.#controls = [];
    this.#panel.replaceChildren(
      this.#genreField(genres),
      ...(years.year_min === null || years.year_max === null
        ? []
        : [this.#yearField(years.year_min, years.year_max)]),
      this.#scoreField(),
      this.#bestNewMusicField(),
    );
    this.show(this.#filters);
  }

  #genreField(genres: readonly GenreCount[]): HTMLElement {
    const boxes = genres.map(({ genre, albums }) => {
      const count = make('span', { class: 'count', text: language.number(albums) });
      return this.#choice(
        make('span', {}, genre, ' ', count),
        (filters) => filters.genres.includes(genre),
        (filters, chosen) => {
          const others = filters.genres.filter((one) => one !== genre);
          return { ...filters, genres: chosen ? [...others, genre] : others };
        },
      );
    });
    return fieldset(language.words.filters.genres, 'choices', ...boxes);
  }

  #yearField(first: number, last: number): HTMLElement {
    const yearInput = (which: 'yearMin' | 'yearMax', placeholder: number) => {
      const input = make('input', {
        attributes: {
          type: 'number',
          inputmode: 'numeric',
          min: String(first),
          max: String(last),
          placeholder: String(placeholder),
        },
      });
      this.#controls.push(() => (input.value = String(this.#filters[which] ?? '')));
      return input;
    };
    const from = yearInput('yearMin', first);
    const to = yearInput('yearMax', last);
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
    const slider = make('input', {
      attributes: { type: 'range', min: '0', max: '10', step: '0.5', 'aria-label': words.score },
    });
    const output = make('output');
    const tell = () => {
      const score = slider.valueAsNumber;
      const told = score > 0 ? words.scoreFrom(language.number(score, 1)) : words.scoreAny;
      output.textContent = told;
      slider.setAttribute('aria-valuetext', told);
    };
    this.#controls.push(() => {
      slider.value = String(this.#filters.scoreMin ?? 0);
      tell();
    });
    slider.addEventListener('input', tell);
    slider.addEventListener('change', () => {
      const score = slider.valueAsNumber;
      this.#change({ ...this.#filters, scoreMin: score > 0 ? score : null });
    });
    return fieldset(words.score, 'score-filter', slider, output);
  }

  #bestNewMusicField(): HTMLElement {
    const choice = this.#choice(
      make('span', { text: language.words.filters.bestNewMusic }),
      (filters) => filters.bestNewMusic,
      (filters, bestNewMusic) => ({ ...filters, bestNewMusic }),
    );
    return make('div', { class: 'field' }, choice);
  }

  /** A checkbox with its label. */
  #choice(
    label: HTMLElement,
    isChosen: (filters: Filters) => boolean,
    choose: (filters: Filters, chosen: boolean) => Filters,
  ): HTMLElement {
    const box = make('input', { attributes: { type: 'checkbox' } });
    this.#controls.push(() => (box.checked = isChosen(this.#filters)));
    box.addEventListener('change', () => {
      this.#change(choose(this.#filters, box.checked));
    });
    return make('label', { class: 'choice' }, box, label);
  }
}

const fieldset = (legend: string, name: string, ...children: HTMLElement[]): HTMLElement =>
  make(
    'fieldset',
    { class: 'field' },
    make('legend', { text: legend }),
    make('div', { class: name }, ...children),
  );
