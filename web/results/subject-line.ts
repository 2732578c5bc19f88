import type { ApiClient, SearchRequest } from '../api/client.ts';
import { Problem } from '../api/problem.ts';
import type { Album } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { coverPicture } from './cover.ts';
import { nameOf, titleOf } from './names.ts';

/** What is searched for, above the results: words, the picture itself, or the album. */
export class SubjectLine {
  readonly #title = part('results-title', HTMLElement);
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

  show(request: SearchRequest): void {
    this.#request = request;
    const { subject, picture } = request;
    this.#adjust.hidden = subject.kind !== 'picture';
    this.#setTitle(request);
    this.#picture.replaceChildren();
    if (subject.kind === 'picture' && picture) this.#showPicture(picture);
    if (subject.kind === 'similar') void this.#showAlbum(subject.albumId, request);
    this.#picture.hidden = subject.kind === 'text';
  }

  #setTitle({ subject }: SearchRequest): void {
    const words = language.words.results;
    const title =
      subject.kind === 'text'
        ? words.byText(subject.query)
        : subject.kind === 'picture'
          ? words.byPicture
          : this.#album?.album_id === subject.albumId
            ? words.byAlbum(titleOf(this.#album))
            : words.byAlbumUnknown;
    this.#title.textContent = title;
    document.title = `${title} · ${language.words.name}`;
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
    this.#picture.append(coverPicture(this.#client, id, { sizes: '6rem', lazy: false }));
    if (this.#album?.album_id !== id) {
      try {
        this.#album = await this.#client.album(id);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return; // the search by this album says the same
      }
    }
    if (this.#request !== request) return;
    this.#setTitle(request);
    const image = this.#picture.querySelector('img');
    if (image) image.alt = language.words.detail.cover(nameOf(this.#album));
  }
}
