import type { Hit } from '../search/search-service.ts';

/** Six decimals: float32 embeddings carry no more. */
const rounded = (similarity: number) => Math.round(similarity * 1e6) / 1e6;

const toResult = ({ album, similarity }: Hit) => ({
  album_id: album.id,
  artist: album.artist,
  album_name: album.albumName,
  genre: album.genre,
  release_year: album.releaseYear,
  similarity_score: rounded(similarity),
  pitchfork_score: album.score,
  best_new_music: album.bestNewMusic,
  image_url: `/api/image/${String(album.id)}`,
  cover_url_original: album.coverUrl,
});

/** The body of every search's answer. */
export const searchResponse = (queryType: 'image' | 'text', hits: readonly Hit[]) => ({
  success: true,
  query_type: queryType,
  total_results: hits.length,
  results: hits.map(toResult),
});
