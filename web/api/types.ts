/** The parts of the API's responses that the page reads. */

/** A result of a search. Absent values are `null`. */
export interface AlbumResult {
  album_id: number;
  artist: string | null;
  album_name: string | null;
  genre: string | null;
  release_year: number | null;
  /** Cosine of the embeddings, -1 to 1; `null` if the album was found by its name. */
  similarity_score: number | null;
  /** 0.0 to 10.0. */
  pitchfork_score: number | null;
  best_new_music: boolean;
}

/** An album suggested by its name. */
export type Suggestion = Pick<AlbumResult, 'album_id' | 'artist' | 'album_name' | 'release_year'>;

/** An album recognised in the uploaded picture. */
export interface Identified {
  album_id: number;
  artist: string | null;
  album_name: string | null;
  /**
   * The cover's corners, clockwise from the cover's top left, as fractions of the upright picture's width and height.
   * Below 0 or above 1 if the sleeve extends beyond the picture.
   */
  outline: readonly (readonly [x: number, y: number])[];
  /** Ids of other albums with the same artwork, e.g. other editions. */
  alternatives: readonly number[];
}

/** An album requested by its id. */
export interface Album extends Omit<AlbumResult, 'similarity_score'> {
  label: string | null;
  reviewer: string | null;
  cover_url_original: string | null;
}

export interface Health {
  /** `null` until the service knows. */
  starter_set: boolean | null;
  /** Whether the service recognises albums in pictures; `null` until it knows. */
  identification?: boolean | null;
}

export interface GenreCount {
  genre: string;
  albums: number;
}

/** Release years of the catalog; `null` if no album has one. */
export interface YearRange {
  year_min: number | null;
  year_max: number | null;
}
