import type { ApiClient, SearchRequest } from '../api/client.ts';
import { wordsOf } from '../address.ts';
import { Problem } from '../api/problem.ts';
import type { Album, Identified } from '../api/types.ts';
import { make, part } from '../dom.ts';
import { language } from '../language/language.ts';
import { coverPicture } from './cover.ts';
import { nameOf, titleOf } from './names.ts';
import type { SearchRun } from './search-run.ts';

/** Shows above the results what is searched for: the text, the picture, or the album. */
export class SubjectLine {
  readonly #title = part('results-title', HTMLElement);
  readonly #note = part('verdict', HTMLElement);
  readonly #picture = part('subject-picture', HTMLElement);
  readonly #adjust = part('adjust', HTMLButtonElement);
  readonly #client: ApiClient;
  /** The album searched by; cached. */
  #album: Album | undefined;
  #pictureUrl: string | undefined;
  #request: SearchRequest | undefined;

  constructor(client: ApiClient, adjust: () => void) {
    this.#client = client;
    this.#adjust.addEventListener('click', adjust);
  }

  /**
   * @param found.identified the albums recognised in the picture; `null` if recognition was not attempted or is pending
   * @param found.names the albums whose names match the text
   */
  show(
    request: SearchRequest,
    { identified, names }: Pick<SearchRun, 'identified' | 'names'>,
  ): void {
    this.#request = request;
    const { subject, picture } = request;
    this.#adjust.hidden = subject.kind !== 'picture';
    this.#picture.replaceChildren();
    const largePicture = identified !== null && identified.length > 0; // the findings show it
    this.#picture.hidden = subject.kind === 'text' || largePicture;
    this.#note.hidden = identified === null || largePicture;
    const words = language.words.results;
    if (subject.kind === 'text') {
      const byCover = subject.by === 'cover' || (subject.by === undefined && names.length === 0);
      this.#setTitle(byCover ? words.byText(subject.query) : words.byName(subject.query));
    } else if (subject.kind === 'similar') void this.#showAlbum(subject.albumId, request);
    else {
      this.#setTitle(identified ? verdict(identified) : this.#and(words.byPicture));
      if (picture && !largePicture) this.#showPicture(picture);
    }
  }

  /** @param title `undefined` until it is known */
  #setTitle(title: string | undefined): void {
    const { name } = language.words;
    this.#title.textContent = title ?? '\u00a0'; // reserves one line
    document.title = title === undefined ? name : `${title} · ${name}`;
  }

  /** Adds the words that refine the search. */
  #and(title: string): string {
    const words = this.#request && wordsOf(this.#request.subject);
    return words === undefined ? title : language.words.results.refined(title, words);
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
        if (error instanceof Problem) return undefined; // the search by this album reports it
        throw error;
      });
      if (this.#request !== request) return;
    }
    const { results, detail } = language.words;
    this.#setTitle(
      this.#and(this.#album ? results.byAlbum(titleOf(this.#album)) : results.byAlbumUnknown),
    );
    const image = cover.querySelector('img');
    if (image && this.#album) image.alt = detail.cover(nameOf(this.#album));
  }
}

/** A one-line summary of the recognised albums. */
function verdict(identified: readonly Identified[]): string {
  const words = language.words.identified;
  const [first] = identified;
  if (!first) return words.none;
  return identified.length === 1 ? words.one(nameOf(first)) : words.several(identified.length);
}
