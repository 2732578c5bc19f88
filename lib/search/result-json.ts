import type { Album } from '../catalog/album.ts';
import type { Identified } from './corpus.ts';
import type { Hit } from './search-service.ts';

/** Six decimals: float32 embeddings carry no more. */
const rounded = (similarity: number) => Math.round(similarity * 1e6) / 1e6;
/** Four decimals of the picture's edge: a tenth of a pixel in 1,000. */
const inPicture = (fraction: number) => Math.round(fraction * 1e4) / 1e4;

/**
 * The response for one album.
 *
 * @param basePath prefix of all paths, e.g. `/prod`
 * @param identifiable whether its cover has enough features to be recognised; `null`: unknown, or recognition is off
 */
export const albumResponse = (album: Album, basePath: string, identifiable: boolean | null) => ({
  album_id: album.id,
  artist: album.artist,
  album_name: album.albumName,
  genre: album.genre,
  label: album.label,
  release_year: album.releaseYear,
  pitchfork_score: album.score,
  best_new_music: album.bestNewMusic,
  reviewer: album.reviewer,
  image_url: imageUrl(album, basePath),
  cover_url_original: album.coverUrl,
  identifiable,
});

const imageUrl = ({ id }: Album, basePath: string) => `${basePath}/api/image/${String(id)}`;

/** One search result of the API. */
export const toResult = ({ album, similarity, matched }: Hit, basePath = '') => ({
  album_id: album.id,
  artist: album.artist,
  album_name: album.albumName,
  genre: album.genre,
  release_year: album.releaseYear,
  similarity_score: similarity === null ? null : rounded(similarity),
  pitchfork_score: album.score,
  best_new_music: album.bestNewMusic,
  image_url: imageUrl(album, basePath),
  cover_url_original: album.coverUrl,
  ...(matched && { matched }),
});

/** An album found by its name, for a list below a search field. */
export const toSuggestion = ({ album }: Hit, basePath = '') => ({
  album_id: album.id,
  artist: album.artist,
  album_name: album.albumName,
  release_year: album.releaseYear,
  image_url: imageUrl(album, basePath),
});

/** An album recognised in a picture, in the form of the API. */
export const toIdentified = ({ album, points, outline, alternatives }: Identified) => ({
  album_id: album.id,
  artist: album.artist,
  album_name: album.albumName,
  points,
  outline: outline.map(([x, y]) => [inPicture(x), inPicture(y)]),
  alternatives: alternatives.map(({ id }) => id),
});
