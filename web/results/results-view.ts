import type { Address, Filters } from '../address.ts';
import { deepest, type ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import { announce } from '../announce.ts';
import { part } from '../dom.ts';
import { activeFilters } from '../filters/active-filters.ts';
import { FilterPanel } from '../filters/filter-panel.ts';
import { language } from '../language/language.ts';
import { ProblemView } from '../messages/problem-view.ts';
import { albumCard, skeletonCard } from './card.ts';
import { nameOf } from './names.ts';
import type { SearchRun } from './search-run.ts';
import { SubjectLine } from './subject-line.ts';

/** Cards that stand in for what is on its way. */
const skeletons = 12;

/** After so many failures in a row the page no longer tries again by itself. */
const patience = 3;

interface ResultsEvents {
  filter: (filters: Filters) => void;
  adjustCrop: () => void;
  pickOther: () => void;
}

/** The results of a search, the filters above them and what may be asked for next. */
export class ResultsView {
  readonly #section = part('results', HTMLElement);
  readonly #grid = part('grid', HTMLElement);
  readonly #active = part('active-filters', HTMLElement);
  readonly #filterButton = part('filter-label', HTMLElement);
  readonly #moreButton = part('more', HTMLButtonElement);
  readonly #end = part('end', HTMLElement);
  readonly #progress = part('progress', HTMLProgressElement);
  readonly #problemPlace = part('problem', HTMLElement);
  readonly #client: ApiClient;
  readonly #events: ResultsEvents;
  readonly #subject: SubjectLine;
  readonly #panel: FilterPanel;
  #shown: { run: SearchRun; address: Address } | undefined;
  #problem: ProblemView | undefined;
  #failures = 0;

  constructor(client: ApiClient, filters: Filters, events: ResultsEvents) {
    this.#client = client;
    this.#events = events;
    this.#subject = new SubjectLine(client, events.adjustCrop);
    this.#panel = new FilterPanel(client, filters, events.filter);
    this.#moreButton.addEventListener('click', () => void this.#loadMore());
    language.onChange(() => {
      if (this.#shown) this.#draw();
    });
  }

  hide(): void {
    this.#shown = undefined;
    this.#clearProblem();
    this.#section.hidden = true;
  }

  /** Shows what a search has found; one that has not begun is begun. */
  show(run: SearchRun, address: Address): void {
    if (this.#shown?.run === run) return; // only an album was opened or closed before it
    this.#shown = { run, address };
    this.#failures = 0;
    this.#section.hidden = false;
    this.#draw();
    if (run.albums.length === 0 && !run.ended && !run.problem) void this.#loadMore();
  }

  /** Where a reader of the screen goes on after a new search. */
  focus(): void {
    part('results-title', HTMLElement).focus({ preventScroll: true });
  }

  #draw(): void {
    if (!this.#shown) return;
    const { run, address } = this.#shown;
    this.#subject.show(run.request);
    this.#panel.show(address.filters);
    this.#showActiveFilters(address.filters);
    this.#grid.replaceChildren(...this.#cards(0));
    this.#showState();
  }

  async #loadMore(): Promise<void> {
    if (!this.#shown) return;
    const { run } = this.#shown;
    const before = run.albums.length;
    const focusNext = document.activeElement === this.#moreButton; // which goes while it loads
    const loading = run.more();
    this.#showState();
    if (before === 0) announce(language.words.results.searching);
    await loading;
    if (this.#shown.run !== run || run.left) return; // something else is looked at by now
    if (run.problem) this.#failures += 1;
    else this.#failures = 0;
    this.#grid.append(...this.#cards(before));
    this.#showState();
    if (!run.problem) this.#tellFound(before);
    if (focusNext) this.#grid.children[before]?.querySelector('a')?.focus();
  }

  #cards(from: number): HTMLElement[] {
    if (!this.#shown) return [];
    const { run, address } = this.#shown;
    return run.albums.slice(from).map((album) => albumCard(this.#client, album, address));
  }

  /** Everything round the cards: what is on its way, what went wrong, what may come. */
  #showState(): void {
    if (!this.#shown) return;
    const { run } = this.#shown;
    const { loading, ended, problem } = run;
    const count = run.albums.length;
    for (const old of this.#grid.querySelectorAll('.skeleton')) old.remove();
    if (loading) this.#grid.append(...Array.from({ length: skeletons }, skeletonCard));
    this.#grid.ariaBusy = String(loading);
    this.#progress.hidden = !loading;
    this.#moreButton.hidden = count === 0 || ended || loading || problem !== undefined;
    this.#end.textContent = ended && !loading ? endText(count) : '';
    this.#clearProblem();
    if (problem && !loading) this.#showProblem(problem);
  }

  #tellFound(before: number): void {
    const { albums } = this.#shown?.run ?? { albums: [] };
    const words = language.words.results;
    const [first] = albums;
    if (!first) announce(words.nothing);
    else if (before === 0) announce(words.found(albums.length, nameOf(first)));
    else announce(words.moreFound(albums.length - before, albums.length));
  }

  #showActiveFilters(filters: Filters): void {
    const items = activeFilters(filters, (changed) => {
      this.#events.filter(changed);
      part('filter-button', HTMLElement).focus(); // the button that had it is gone
    });
    this.#active.replaceChildren(...items);
    this.#active.hidden = items.length === 0;
    const genres = items.filter((item) => item.querySelector('.chip')).length;
    this.#filterButton.textContent = language.words.filters.button(genres);
  }

  #showProblem(problem: Problem): void {
    this.#problem = new ProblemView(problem, {
      retry: () => void this.#loadMore(),
      byItself: this.#failures <= patience,
      pickOther: this.#events.pickOther,
    });
    this.#problemPlace.replaceChildren(this.#problem.element);
  }

  #clearProblem(): void {
    if (this.#problem?.element.contains(document.activeElement)) this.focus(); // its button goes
    this.#problem?.remove();
    this.#problem = undefined;
  }
}

function endText(count: number): string {
  const words = language.words.results;
  if (count === 0) return words.nothing;
  return count >= deepest ? words.deepest(count) : words.end(count);
}
