import type { ApiClient } from './api/client.ts';
import { Problem } from './api/problem.ts';
import type { Suggestion } from './api/types.ts';
import { announce } from './announce.ts';
import { make, part } from './dom.ts';
import { language } from './language/language.ts';
import { coverPicture } from './results/cover.ts';
import { artistOf, titleOf } from './results/names.ts';

/** Pause in typing before suggestions are requested, in milliseconds. */
const pauseMs = 120;

/**
 * Suggests albums by name while text is typed: an editable combobox with a list box, as in the ARIA Authoring Practices.
 * The focus stays in the field; the arrow keys move through the list, Enter chooses, Escape closes it.
 */
export class Suggestions {
  readonly #list = part('suggestions', HTMLElement);
  readonly #client: ApiClient;
  readonly #field: HTMLInputElement;
  readonly #choose: (albumId: number) => void;
  #albums: readonly Suggestion[] = [];
  /** Position of the highlighted suggestion; -1: none. */
  #active = -1;
  #timer: number | undefined;
  #request: AbortController | undefined;

  /** @param choose called with the id of the chosen album */
  constructor(client: ApiClient, field: HTMLInputElement, choose: (albumId: number) => void) {
    this.#client = client;
    this.#field = field;
    this.#choose = choose;
    field.addEventListener('input', () => {
      this.#cancel();
      this.#highlight(-1); // it was chosen for another text
      const query = field.value.trim();
      if (query === '') this.close();
      else this.#timer = window.setTimeout(() => void this.#suggest(query), pauseMs);
    });
    field.addEventListener('keydown', (event) => {
      this.#onKey(event);
    });
    field.addEventListener('blur', () => {
      this.close();
    });
    // The field would lose the focus before the click.
    this.#list.addEventListener('pointerdown', (event) => {
      event.preventDefault();
    });
    this.#list.addEventListener('click', ({ target }) => {
      const option = target instanceof Element ? target.closest('[role=option]') : null;
      if (option) this.#take([...this.#list.children].indexOf(option));
    });
  }

  close(): void {
    this.#cancel();
    this.#albums = [];
    this.#show();
  }

  #cancel(): void {
    window.clearTimeout(this.#timer);
    this.#request?.abort();
  }

  async #suggest(query: string): Promise<void> {
    const request = (this.#request = new AbortController());
    const albums = await this.#client.suggest(query, request.signal).catch((error: unknown) => {
      if (error instanceof Problem || request.signal.aborted) return []; // the search itself reports a problem
      throw error;
    });
    if (request.signal.aborted) return; // meanwhile more was typed, or the list was closed
    this.#albums = albums;
    this.#show();
    if (this.#albums.length > 0) announce(language.words.finder.suggested(this.#albums.length));
  }

  #show(): void {
    this.#list.replaceChildren(...this.#albums.map((album, i) => this.#option(album, i)));
    this.#list.hidden = this.#albums.length === 0;
    this.#field.ariaExpanded = String(!this.#list.hidden);
    this.#highlight(-1);
  }

  #option(album: Suggestion, i: number): HTMLElement {
    const facts = [artistOf(album), album.release_year].filter((one) => one !== null).join(' · ');
    return make(
      'li',
      { attributes: { role: 'option', id: `suggestion-${String(i)}`, 'aria-selected': 'false' } },
      coverPicture(this.#client, album.album_id, { sizes: '3rem', lazy: false }),
      make(
        'span',
        { class: 'suggestion-text' },
        make('span', { class: 'suggestion-title', text: titleOf(album) }),
        make('span', { class: 'suggestion-facts', text: facts }),
      ),
    );
  }

  #highlight(active: number): void {
    this.#active = active;
    for (const [i, option] of [...this.#list.children].entries()) {
      option.ariaSelected = String(i === active);
      if (i === active) option.scrollIntoView({ block: 'nearest' });
    }
    if (active < 0) this.#field.removeAttribute('aria-activedescendant');
    else this.#field.setAttribute('aria-activedescendant', `suggestion-${String(active)}`);
  }

  #onKey(event: KeyboardEvent): void {
    const count = this.#albums.length;
    if (count === 0 || event.isComposing) return;
    // -1, the field itself, lies between the last suggestion and the first.
    if (event.key === 'ArrowDown')
      this.#highlight(this.#active + 1 < count ? this.#active + 1 : -1);
    else if (event.key === 'ArrowUp')
      this.#highlight(this.#active < 0 ? count - 1 : this.#active - 1);
    else if (event.key === 'Escape') this.close();
    else if (event.key === 'Enter' && this.#active >= 0) this.#take(this.#active);
    else return;
    event.preventDefault();
  }

  #take(i: number): void {
    const album = this.#albums[i];
    this.close();
    if (album) this.#choose(album.album_id);
  }
}
