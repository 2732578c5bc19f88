import { linkTo, type Address } from '../address.ts';
import type { ApiClient } from '../api/client.ts';
import type { AlbumResult } from '../api/types.ts';
import { icon, make } from '../dom.ts';
import { language } from '../language/language.ts';
import { coverPicture } from './cover.ts';
import { artistOf, titleOf } from './names.ts';

/** How wide a cover of the grid is shown: two abreast on a phone, six on a large screen. */
const sizes = '(max-width: 36rem) 45vw, (max-width: 64rem) 22vw, 14rem';

/** One result: the cover and its facts, a link to its details and one to more like it. */
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
    similarity(album.similarity_score),
    similarLink(album, address),
  );
}

/** The link to albums like one. */
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

/** The mark of an album that was named Best New Music. */
export function bestNewMusicSticker(): HTMLElement {
  const words = language.words.results.bestNewMusic;
  return make(
    'span',
    { class: 'sticker', attributes: { title: words } },
    icon('star'),
    make('span', { class: 'unseen', text: words }),
  );
}

/** Score, year and genre, as far as they are known. */
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

/** Cosine similarity as a bar and a number. Opposite is as unlike as unrelated: the bar begins at 0. */
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

/** What stands in a result's place until it comes: as high, so that nothing moves. */
export const skeletonCard = (): HTMLElement =>
  make(
    'li',
    { class: 'card skeleton' },
    make('span', { class: 'cover' }),
    ...['card-title', 'card-artist', 'card-facts', 'similarity', 'quiet-button'].map((name) =>
      make('span', { class: name, text: '\u00a0' }),
    ),
  );
