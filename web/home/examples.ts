import { linkTo, noFilters } from '../address.ts';
import { deepest, type ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { AlbumResult } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { coverPicture } from '../results/cover.ts';
import { artistOf, titleOf } from '../results/names.ts';

/** Number of example covers: one row on a wide screen, two on a phone. */
const crateSize = 6;

/** English in every page language, since the models were trained on English. */
const anyCatalog = [
  'a face in black and white',
  'blue sky',
  'flowers',
  'handwriting',
  'a city at night',
  'red shapes',
];

/** For the starter set's shapes, textures and colours. */
const starterCatalog = [
  'a red circle',
  'blue waves',
  'a yellow star',
  'green stripes',
  'a pink heart',
  'an orange triangle',
];

const sizes = '(max-width: 36rem) 28vw, (max-width: 64rem) 14vw, 11rem';

/** Suggestions on the home view: covers from this catalog, and descriptions. */
export class Examples {
  readonly #client: ApiClient;
  #albums: AlbumResult[] | undefined;
  #descriptions = anyCatalog;

  constructor(client: ApiClient) {
    this.#client = client;
    language.onChange(() => {
      this.draw();
    });
  }

  /** Loads covers once, from a random position in the results for a random description. */
  async load(starterSet: boolean): Promise<void> {
    this.#descriptions = starterSet ? starterCatalog : anyCatalog;
    this.draw();
    if (this.#albums) return;
    const about = this.#descriptions[Math.floor(Math.random() * this.#descriptions.length)] ?? '';
    const offset = Math.floor(Math.random() * (deepest - crateSize));
    try {
      const found = await this.#client.someAlbums(about, crateSize, offset);
      this.#albums = found.length > 0 ? found : await this.#client.someAlbums(about, crateSize, 0);
      this.draw();
      part('crate', HTMLElement).hidden = false; // it is hidden if an earlier attempt failed
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      part('crate', HTMLElement).hidden = true; // not essential: the next search reports the problem
    }
  }

  draw(): void {
    part('example-words', HTMLElement).replaceChildren(
      ...this.#descriptions.map((query) => {
        const href = linkTo({ subject: { kind: 'text', query }, filters: noFilters, album: null });
        return make(
          'li',
          {},
          make('a', { class: 'chip', text: query, attributes: { href, lang: 'en' } }),
        );
      }),
    );
    if (this.#albums)
      part('crate-covers', HTMLElement).replaceChildren(
        ...this.#albums.map((album) => this.#cover(album)),
      );
  }

  #cover(album: AlbumResult): HTMLElement {
    const id = album.album_id;
    const href = linkTo({
      subject: { kind: 'similar', albumId: id },
      filters: noFilters,
      album: null,
    });
    const label = language.words.examples.like(titleOf(album), artistOf(album));
    return make(
      'li',
      {},
      make(
        'a',
        { class: 'crate-cover', attributes: { href, 'aria-label': label, title: label } },
        coverPicture(this.#client, id, { sizes }),
      ),
    );
  }
}
