import { linkTo, type Address } from '../address.ts';
import type { ApiClient } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { Album, AlbumResult, Identified } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { albumFacts, bestNewMusicSticker, similarLink } from './card.ts';
import { coverPicture } from './cover.ts';
import { artistOf, nameOf, titleOf } from './names.ts';
import { OutlinedPicture } from './outlined-picture.ts';
import type { SearchRun } from './search-run.ts';

const sizes = '(max-width: 36rem) 30vw, 14rem';

/** The displayed fields of an album, from the results or from a request for it. */
type KnownAlbum = Omit<AlbumResult, 'similarity_score'>;

/** The recognised albums, next to the picture with their outlines drawn over it. */
export class Findings {
  readonly #place = part('findings', HTMLElement);
  readonly #client: ApiClient;
  /** Albums requested individually; `undefined` if the request failed. */
  readonly #albums = new Map<number, Promise<Album | undefined>>();
  #picture: OutlinedPicture | undefined;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  hide(): void {
    this.#picture?.remove();
    this.#picture = undefined;
    this.#place.replaceChildren();
    this.#place.hidden = true;
  }

  /** Shows the albums recognised by a search, if any. */
  show({ request, identified, albums }: SearchRun, address: Address): void {
    this.hide();
    if (!identified || identified.length === 0) return;
    const outlines = identified.map(({ outline }) => outline);
    if (request.picture) {
      this.#picture = new OutlinedPicture(request.picture, outlines);
      this.#place.append(this.#picture.element);
    }
    const known = new Map<number, KnownAlbum>(albums.map((album) => [album.album_id, album]));
    const items = identified.map((found, at) =>
      this.#finding(found, { known, address, number: identified.length > 1 ? at + 1 : undefined }),
    );
    const label = language.words.identified.list;
    const attributes = { role: 'list', 'aria-label': label };
    this.#place.append(make('ol', { class: 'finding-list', attributes }, ...items));
    this.#place.hidden = false;
  }

  #finding(
    found: Identified,
    shown: { known: Map<number, KnownAlbum>; address: Address; number: number | undefined },
  ): HTMLElement {
    const { known, address, number } = shown;
    const id = found.album_id;
    const facts = make('p', { class: 'card-facts' });
    const text = make(
      'div',
      { class: 'finding-text' },
      make(
        'h2',
        {},
        make(
          'a',
          { class: 'finding-link', attributes: { href: linkTo({ ...address, album: id }) } },
          titleOf(found),
        ),
      ),
      make('p', { class: 'finding-artist', text: artistOf(found) }),
      facts,
      similarLink(found, address),
    );
    const cover = coverPicture(this.#client, id, { sizes, lazy: false });
    void this.#album(id, known).then((album) => {
      if (!album) return;
      facts.replaceChildren(...albumFacts(album));
      if (album.best_new_music) cover.after(bestNewMusicSticker());
    });
    void this.#addAlternatives(text, found, { known, address });
    return make(
      'li',
      { class: 'finding' },
      make(
        'div',
        { class: 'finding-cover' },
        number === undefined ? '' : make('span', { class: 'finding-number', text: String(number) }),
        cover,
      ),
      text,
    );
  }

  async #addAlternatives(
    text: HTMLElement,
    { alternatives }: Identified,
    { known, address }: { known: Map<number, KnownAlbum>; address: Address },
  ): Promise<void> {
    const asked = await Promise.all(alternatives.map((id) => this.#album(id, known)));
    const links = asked.flatMap((album) =>
      album
        ? make(
            'li',
            {},
            make('a', {
              text: nameOf(album),
              attributes: { href: linkTo({ ...address, album: album.album_id }) },
            }),
          )
        : [],
    );
    if (links.length === 0) return;
    const title = make('p', { text: language.words.identified.alternatives });
    text.append(make('div', { class: 'alternatives' }, title, make('ul', {}, ...links)));
  }

  /** An album from the results, else requested: filters may have excluded it. */
  #album(id: number, known: Map<number, KnownAlbum>): Promise<KnownAlbum | undefined> {
    const result = known.get(id);
    if (result) return Promise.resolve(result);
    let asked = this.#albums.get(id);
    if (!asked) {
      asked = this.#client.album(id).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        this.#albums.delete(id); // it is requested again when next shown
        return undefined;
      });
      this.#albums.set(id, asked);
    }
    return asked;
  }
}
