import type { ApiClient } from '../api/client.ts';
import { make } from '../dom.ts';

/**
 * A cover in a square box, which has its size before the picture loads. If the picture is missing, the box shows an
 * empty sleeve.
 *
 * @param options.sizes displayed width, as in the `sizes` of an `<img>`
 * @param options.alt alternative text; empty if adjacent text says the same
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
