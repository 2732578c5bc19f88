import type { Album } from '../api/types.ts';
import { language } from '../language/language.ts';

type Named = Pick<Album, 'album_name' | 'artist'>;

export const titleOf = ({ album_name }: Pick<Named, 'album_name'>) =>
  album_name ?? language.words.results.untitled;
export const artistOf = ({ artist }: Named) => artist ?? language.words.results.unknownArtist;

/** Title and artist in one phrase. */
export const nameOf = (album: Named) => language.words.results.by(titleOf(album), artistOf(album));
