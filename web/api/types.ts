/** What the API answers, as far as the page reads it. */

/** A result of a search. Absent values are `null`. */
export interface AlbumResult {
  album_id: number;
  artist: string | null;
  album_name: string | null;
  genre: string | null;
  release_year: number | null;
  /** Cosine of the embeddings, -1 to 1. */
  similarity_score: number;
  /** 0.0 to 10.0. */
  pitchfork_score: number | null;
  best_new_music: boolean;
}

/** An album that was recognised in the picture that was sent. */
export interface Identified {
  album_id: number;
  artist: string | null;
  album_name: string | null;
  /**
   * The cover's corners, clockwise from its own top left: as shares of the upright picture's width and height.
   * Below 0 or above 1 where the picture cuts the sleeve off.
   */
  outline: readonly (readonly [x: number, y: number])[];
  /** Ids of albums that it could be as well: editions that share the artwork. */
  alternatives: readonly number[];
}

/** One album by itself. */
export interface Album extends Omit<AlbumResult, 'similarity_score'> {
  label: string | null;
  reviewer: string | null;
  cover_url_original: string | null;
}

export interface Health {
  /** `null` until the service knows. */
  starter_set: boolean | null;
  /** Whether albums are recognised in pictures; `null` until the service knows. */
  identification?: boolean | null;
}

export interface GenreCount {
  genre: string;
  albums: number;
}

/** Release years of the catalog; `null` where no album has one. */
export interface YearRange {
  year_min: number | null;
  year_max: number | null;
}
