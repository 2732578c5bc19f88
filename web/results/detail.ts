import { linkTo, type Address } from '../address.ts';
import type { ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { Album } from '../api/types.ts';
import { icon, make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { ProblemView } from '../messages/problem-view.ts';
import { coverPicture } from './cover.ts';
import { artistOf, nameOf, titleOf } from './names.ts';

const sizes = '(max-width: 48rem) 90vw, 26rem';

/** The dialog with the details of one album. */
export class Detail {
  readonly #dialog = part('detail', HTMLDialogElement);
  readonly #body = part('detail-body', HTMLElement);
  readonly #client: ApiClient;
  #shown: { album: Album; address: Address } | undefined;
  #wanted: number | undefined;

  /** @param closed called when the user closes the dialog, to update the address */
  constructor(client: ApiClient, closed: () => void) {
    this.#client = client;
    part('detail-close', HTMLButtonElement).addEventListener('click', () => {
      this.#dialog.close();
    });
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // a click on the backdrop
    });
    this.#dialog.addEventListener('close', () => {
      if (this.#wanted === undefined) return; // the address has already changed
      this.#wanted = undefined;
      closed();
    });
    language.onChange(() => {
      if (this.#shown) this.#draw(this.#shown);
    });
  }

  /** Opens the album in the address; closes the dialog if there is none. */
  async show(address: Address): Promise<void> {
    const id = address.album;
    if (id === null) {
      this.#wanted = undefined;
      this.#dialog.close();
      return;
    }
    if (this.#wanted === id && this.#dialog.open) return;
    this.#wanted = id;
    this.#body.replaceChildren(this.#skeleton());
    if (!this.#dialog.open) this.#dialog.showModal();
    try {
      const album = await this.#client.album(id);
      if (this.#wanted === id) this.#draw({ album, address });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.#wanted !== id) return;
      const retry = () => {
        view.remove();
        this.#wanted = undefined;
        void this.show(address);
      };
      const view = new ProblemView(error, { retry });
      this.#body.replaceChildren(view.element);
    }
  }

  #draw(shown: { album: Album; address: Address }): void {
    this.#shown = shown;
    const { album, address } = shown;
    const words = language.words.detail;
    const id = album.album_id;
    this.#body.replaceChildren(
      coverPicture(this.#client, id, { sizes, alt: words.cover(nameOf(album)), lazy: false }),
      make(
        'div',
        { class: 'detail-text' },
        make('h2', { text: titleOf(album), attributes: { id: 'detail-title' } }),
        make('p', { class: 'detail-artist', text: artistOf(album) }),
        album.best_new_music
          ? make('p', { class: 'detail-best' }, icon('star'), language.words.results.bestNewMusic)
          : '',
        facts(album),
        make(
          'p',
          { class: 'detail-links' },
          make(
            'a',
            {
              class: 'button primary',
              attributes: {
                href: linkTo({
                  ...address,
                  subject: { kind: 'similar', albumId: id },
                  album: null,
                }),
              },
            },
            icon('similar'),
            language.words.results.similar,
          ),
          outwardLink(this.#client.coverUrl(id), words.file),
          ...originalLink(album.cover_url_original),
        ),
      ),
    );
  }

  #skeleton(): HTMLElement {
    const text = language.words.detail.loading;
    return make(
      'div',
      { class: 'detail-skeleton' },
      make('span', { class: 'cover' }),
      make('p', { class: 'hint', text }),
    );
  }
}

function facts(album: Album): HTMLElement {
  const words = language.words.detail;
  const score = album.pitchfork_score;
  const known: [string, string | null][] = [
    [words.year, album.release_year === null ? null : String(album.release_year)],
    [words.genre, album.genre],
    [words.label, album.label],
    [words.score, score === null ? null : language.number(score, 1)],
    [words.reviewer, album.reviewer],
  ];
  return make(
    'dl',
    {},
    ...known.flatMap(([name, value]) =>
      value === null ? [] : [make('dt', { text: name }), make('dd', { text: value })],
    ),
  );
}

/** Links only to HTTP(S) URLs: the catalog is untrusted data. */
const originalLink = (url: string | null): HTMLElement[] =>
  url !== null && /^https?:\/\//.test(url)
    ? [outwardLink(url, language.words.detail.original)]
    : [];

const outwardLink = (href: string, text: string): HTMLElement =>
  make(
    'a',
    { class: 'button', attributes: { href, target: '_blank', rel: 'noopener noreferrer' } },
    text,
    make('span', { class: 'unseen', text: ` (${language.words.detail.newTab})` }),
  );
