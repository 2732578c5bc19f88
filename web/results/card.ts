import { linkTo, type Address } from '../address.ts';
import type { ApiClient } from '../api/client.ts';
import type { AlbumResult } from '../api/types.ts';
import { icon, make } from '../dom.ts';
import { language } from '../language/language.ts';
import { coverPicture } from './cover.ts';
import { artistOf, titleOf } from './names.ts';

/** Displayed width of a cover in the grid: two per row on a phone, six on a large screen. */
const sizes = '(max-width: 36rem) 45vw, (max-width: 64rem) 22vw, 14rem';

/** The card of one result: its cover and facts, a link to its details and one to similar albums. */
export function albumCard(client: ApiClient, album: AlbumResult, address: Address): HTMLElement {
  const id = album.album_id;
  const title = titleOf(album);
  return make(
    'li',
    { class: 'card' },
    make(
      'a',
      { class: 'card-link', attributes: { href: linkTo({ ...address, album: id }) } },
      coverPicture(client, id, { sizes }),
      make('span', { class: 'card-title', text: title }),
    ),
    album.best_new_music ? bestNewMusicSticker() : '',
    make('p', { class: 'card-artist', text: artistOf(album) }),
    make('p', { class: 'card-facts' }, ...albumFacts(album)),
    album.similarity_score === null ? '' : similarity(album.similarity_score),
    similarLink(album, address),
  );
}

/** The link to the albums similar to one. */
export function similarLink(album: Pick<AlbumResult, 'album_id' | 'album_name'>, address: Address) {
  const words = language.words.results;
  const subject = { kind: 'similar', albumId: album.album_id } as const;
  return make(
    'a',
    {
      class: 'quiet-button',
      attributes: {
        href: linkTo({ ...address, subject, album: null }),
        'aria-label': words.similarTo(titleOf(album)),
      },
    },
    icon('similar'),
    words.similar,
  );
}

/** The badge of an album named Best New Music. */
export function bestNewMusicSticker(): HTMLElement {
  const words = language.words.results.bestNewMusic;
  return make(
    'span',
    { class: 'sticker', attributes: { title: words } },
    icon('star'),
    make('span', { class: 'unseen', text: words }),
  );
}

/** Score, year and genre, if known. */
export function albumFacts({
  release_year,
  genre,
  pitchfork_score,
}: Pick<AlbumResult, 'release_year' | 'genre' | 'pitchfork_score'>): HTMLElement[] {
  const known: HTMLElement[] = [];
  if (pitchfork_score !== null) known.push(scoreMark(pitchfork_score));
  if (release_year !== null) known.push(make('span', { text: String(release_year) }));
  if (genre !== null) known.push(make('span', { class: 'genre', text: genre }));
  return known;
}

/** A Pitchfork score, 0.0 to 10.0. */
const scoreMark = (score: number): HTMLElement =>
  make(
    'span',
    { class: 'score', attributes: { title: language.words.results.score } },
    make('span', { class: 'unseen', text: `${language.words.results.score}: ` }),
    language.number(score, 1),
  );

/** Cosine similarity as a bar and a number. The bar starts at 0: a negative cosine is no less similar than 0. */
function similarity(cosine: number): HTMLElement {
  const words = language.words.results.similarity;
  const bar = make('meter', {
    attributes: { min: '0', max: '1', value: String(Math.max(0, cosine)), 'aria-label': words },
  });
  return make(
    'p',
    { class: 'similarity', attributes: { title: words } },
    bar,
    make('span', { class: 'number', text: language.number(cosine, 2) }),
  );
}

/** The placeholder of a result that is loading, of the same height, so that the layout does not shift. */
export const skeletonCard = (): HTMLElement =>
  make(
    'li',
    { class: 'card skeleton' },
    make('span', { class: 'cover' }),
    ...['card-title', 'card-artist', 'card-facts', 'similarity', 'quiet-button'].map((name) =>
      make('span', { class: name, text: '\u00a0' }),
    ),
  );
