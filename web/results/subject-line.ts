import type { ApiClient, SearchRequest } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { Album, Identified } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { coverPicture } from './cover.ts';
import { nameOf, titleOf } from './names.ts';

/** What is searched for, above the results: words, the picture itself, or the album. */
export class SubjectLine {
  readonly #title = part('results-title', HTMLElement);
  readonly #note = part('verdict', HTMLElement);
  readonly #picture = part('subject-picture', HTMLElement);
  readonly #adjust = part('adjust', HTMLButtonElement);
  readonly #client: ApiClient;
  /** Of the album searched by: asked for once. */
  #album: Album | undefined;
  #pictureUrl: string | undefined;
  #request: SearchRequest | undefined;

  constructor(client: ApiClient, adjust: () => void) {
    this.#client = client;
    this.#adjust.addEventListener('click', adjust);
  }

  /** @param identified the albums recognised in the picture; `null` where none were looked for, or not yet */
  show(request: SearchRequest, identified: readonly Identified[] | null): void {
    this.#request = request;
    const { subject, picture } = request;
    this.#adjust.hidden = subject.kind !== 'picture';
    this.#picture.replaceChildren();
    const largePicture = identified !== null && identified.length > 0; // among the findings
    this.#picture.hidden = subject.kind === 'text' || largePicture;
    this.#note.hidden = identified === null || largePicture;
    const words = language.words.results;
    if (subject.kind === 'text') this.#setTitle(words.byText(subject.query));
    else if (subject.kind === 'similar') void this.#showAlbum(subject.albumId, request);
    else {
      this.#setTitle(identified ? verdict(identified) : words.byPicture);
      if (picture && !largePicture) this.#showPicture(picture);
    }
  }

  /** @param title `undefined`: it is not known yet */
  #setTitle(title: string | undefined): void {
    const { name } = language.words;
    this.#title.textContent = title ?? '\u00a0'; // a line of it stays free
    document.title = title === undefined ? name : `${title} · ${name}`;
  }

  #showPicture(picture: Blob): void {
    if (this.#pictureUrl !== undefined) URL.revokeObjectURL(this.#pictureUrl);
    this.#pictureUrl = URL.createObjectURL(picture);
    const image = make('img', {
      attributes: { src: this.#pictureUrl, alt: language.words.results.yourPicture },
    });
    this.#picture.append(image);
  }

  async #showAlbum(id: number, request: SearchRequest): Promise<void> {
    const cover = coverPicture(this.#client, id, { sizes: '6rem', lazy: false });
    this.#picture.append(cover);
    if (this.#album?.album_id !== id) {
      this.#setTitle(undefined);
      this.#album = await this.#client.album(id).catch((error: unknown) => {
        if (error instanceof Problem) return undefined; // the search by this album says the same
        throw error;
      });
      if (this.#request !== request) return;
    }
    const { results, detail } = language.words;
    this.#setTitle(this.#album ? results.byAlbum(titleOf(this.#album)) : results.byAlbumUnknown);
    const image = cover.querySelector('img');
    if (image && this.#album) image.alt = detail.cover(nameOf(this.#album));
  }
}

/** What was recognised, in one line. */
function verdict(identified: readonly Identified[]): string {
  const words = language.words.identified;
  const [first] = identified;
  if (!first) return words.none;
  return identified.length === 1 ? words.one(nameOf(first)) : words.several(identified.length);
}
