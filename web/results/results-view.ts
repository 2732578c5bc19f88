import type { Address, Filters, Subject } from '../address.ts';
import { deepest, type ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { Identified } from '../api/types.ts';
import { announce } from '../announce.ts';
import { part } from '../dom.ts';
import { activeFilters } from '../filters/active-filters.ts';
import { FilterPanel } from '../filters/filter-panel.ts';
import { language } from '../language/language.ts';
import { ProblemView } from '../messages/problem-view.ts';
import { albumCard, skeletonCard } from './card.ts';
import { Findings } from './findings.ts';
import { nameOf } from './names.ts';
import { Refinement } from './refinement.ts';
import type { SearchRun } from './search-run.ts';
import { SubjectLine } from './subject-line.ts';

/** Number of placeholder cards shown while results load. */
const skeletons = 12;

/** After more consecutive failures than this the page no longer retries automatically. */
const patience = 3;

interface ResultsEvents {
  filter: (filters: Filters) => void;
  adjustCrop: () => void;
  pickOther: () => void;
  /** Starts a search for a changed subject, with the same filters. */
  search: (subject: Subject) => void;
}

/** The results of a search, with the filters above and the button for more below. */
export class ResultsView {
  readonly #section = part('results', HTMLElement);
  readonly #listTitle = part('list-title', HTMLElement);
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
  readonly #findings: Findings;
  readonly #refinement: Refinement;
  readonly #names = part('names', HTMLElement);
  readonly #nameGrid = part('name-grid', HTMLElement);
  readonly #panel: FilterPanel;
  #shown: { run: SearchRun; address: Address } | undefined;
  #problem: ProblemView | undefined;
  #failures = 0;

  constructor(client: ApiClient, filters: Filters, events: ResultsEvents) {
    this.#client = client;
    this.#events = events;
    this.#subject = new SubjectLine(client, events.adjustCrop);
    this.#findings = new Findings(client);
    this.#refinement = new Refinement(events.search);
    this.#panel = new FilterPanel(client, filters, events.filter);
    this.#moreButton.addEventListener('click', () => void this.#loadMore());
    language.onChange(() => {
      if (this.#shown) this.#draw();
    });
  }

  hide(): void {
    this.#shown = undefined;
    this.#findings.hide();
    this.#clearProblem();
    this.#section.hidden = true;
  }

  /** Shows the results of a search, and starts the search if necessary. */
  show(run: SearchRun, address: Address): void {
    if (this.#shown?.run === run) return; // only an album was opened or closed over it
    this.#shown = { run, address };
    this.#failures = 0;
    this.#section.hidden = false;
    this.#draw();
    if (run.albums.length === 0 && !run.ended && !run.problem) void this.#loadMore();
  }

  /** Moves the focus of keyboards and screen readers to the results, after a new search. */
  focus(): void {
    part('results-title', HTMLElement).focus({ preventScroll: true });
  }

  #draw(): void {
    if (!this.#shown) return;
    const { address } = this.#shown;
    this.#refinement.show(address.subject);
    this.#showVerdict();
    this.#panel.show(address.filters);
    this.#showActiveFilters(address.filters);
    this.#grid.replaceChildren(...this.#cards(0));
    this.#showState();
  }

  /** Shows the subject, the albums recognised in it or named like it, and the heading of the other results. */
  #showVerdict(): void {
    if (!this.#shown) return;
    const { run, address } = this.#shown;
    const { identified, names } = run;
    const words = language.words.identified;
    this.#subject.show(run.request, run);
    this.#findings.show(run, address);
    this.#names.hidden = names.length === 0;
    this.#nameGrid.replaceChildren(...names.map((one) => albumCard(this.#client, one, address)));
    const onlyFindings = identified !== null && run.ended && run.others.length === 0;
    this.#listTitle.hidden = (identified === null && names.length === 0) || onlyFindings;
    this.#listTitle.textContent = !identified
      ? language.words.by.covers
      : identified.length > 0
        ? words.others(identified.length)
        : words.nearest;
  }

  async #loadMore(): Promise<void> {
    if (!this.#shown) return;
    const { run } = this.#shown;
    const before = run.albums.length;
    const others = run.others.length;
    const focusNext = document.activeElement === this.#moreButton; // which is hidden during the load
    const loading = run.more();
    this.#showState();
    if (before === 0) announce(language.words.results.searching);
    await loading;
    if (this.#shown.run !== run || run.left) return; // another search is shown by now
    if (run.problem) this.#failures += 1;
    else this.#failures = 0;
    if (before === 0 && (run.identified || run.names.length > 0)) this.#showVerdict();
    const cards = this.#cards(others);
    this.#grid.append(...cards);
    this.#showState();
    if (!run.problem) this.#tellFound(before);
    if (focusNext) cards[0]?.querySelector('a')?.focus();
  }

  #cards(from: number): HTMLElement[] {
    if (!this.#shown) return [];
    const { run, address } = this.#shown;
    return run.others.slice(from).map((album) => albumCard(this.#client, album, address));
  }

  /** Shows everything around the cards: loading state, problem, and whether there are more results. */
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
    this.#end.textContent = ended && !loading ? endText(run) : '';
    this.#clearProblem();
    if (problem && !loading) this.#showProblem(problem);
  }

  #tellFound(before: number): void {
    if (!this.#shown) return;
    const { albums, identified, names } = this.#shown.run;
    const words = language.words.results;
    const [first] = albums;
    if (before === 0 && identified?.length) announce(saidOf(identified));
    else if (!first) announce(nothingText(this.#shown.run));
    else if (before === 0 && identified)
      announce(language.words.identified.saidNone(nameOf(first)));
    else if (before === 0 && names[0])
      announce(
        `${language.words.by.saidNames(names.length, nameOf(names[0]))} ${words.found(albums.length, nameOf(first))}`,
      );
    else if (before === 0) announce(words.found(albums.length, nameOf(first)));
    else announce(words.moreFound(albums.length - before, albums.length));
  }

  #showActiveFilters(filters: Filters): void {
    const items = activeFilters(filters, (changed) => {
      this.#events.filter(changed);
      part('filter-button', HTMLElement).focus(); // the focused button was removed
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
    if (this.#problem?.element.contains(document.activeElement)) this.focus(); // it is being removed
    this.#problem?.remove();
    this.#problem = undefined;
  }
}

function saidOf(identified: readonly Identified[]): string {
  const words = language.words.identified;
  const [name = '', ...others] = identified.map(nameOf);
  return others.length === 0 ? words.saidOne(name) : words.saidSeveral([name, ...others]);
}

function nothingText({ request: { subject } }: SearchRun): string {
  const { by, results } = language.words;
  return subject.kind === 'text' && subject.by === 'name' ? by.nothing : results.nothing;
}

function endText(run: SearchRun): string {
  const words = language.words.results;
  const count = run.albums.length;
  if (count === 0) return nothingText(run);
  return count >= deepest ? words.deepest(count) : words.end(count);
}
