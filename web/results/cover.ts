import type { ApiClient } from '../api/client.ts';
import { make } from '../dom.ts';

/**
 * A cover in a square box that is there before the picture is. Where there is no picture, an empty sleeve
 * stays.
 *
 * @param options.sizes how wide it is shown, as in an `<img>`'s `sizes`
 * @param options.alt what it shows; empty where a text beside it says so
 */
export function coverPicture(
  client: ApiClient,
  albumId: number,
  { sizes, alt = '', lazy = true }: { sizes: string; alt?: string; lazy?: boolean },
): HTMLElement {
  const image = make('img', {
    attributes: {
      alt,
      width: '320',
      height: '320',
      decoding: 'async',
      ...(lazy && { loading: 'lazy' }),
      sizes,
      srcset: client.coverSet(albumId),
      src: client.coverUrl(albumId, 320),
      draggable: 'false',
    },
  });
  const box = make('span', { class: 'cover' }, image);
  image.addEventListener('load', () => {
    box.classList.add('loaded');
  });
  image.addEventListener('error', () => {
    box.classList.add('missing');
  });
  return box;
}
