/** The state in a link to the page: a search, its filters, and the open album. Does not touch the DOM. */

/**
 * What is searched for. A picture does not fit in a link: it is kept in the history entry. `words` is what the covers
 * should show besides being similar.
 */
export type Subject =
  | { kind: 'nothing' }
  | { kind: 'text'; query: string; by?: SearchBy | undefined }
  | { kind: 'similar'; albumId: number; words?: string | undefined }
  | { kind: 'picture'; words?: string | undefined };

/** What a text is compared with; both by default. */
export type SearchBy = 'name' | 'cover';

export interface Filters {
  genres: readonly string[];
  yearMin: number | null;
  yearMax: number | null;
  /** Pitchfork score, 0 to 10. */
  scoreMin: number | null;
  bestNewMusic: boolean;
}

export interface Address {
  subject: Subject;
  filters: Filters;
  /** Id of the album whose details are open. */
  album: number | null;
}

export const noFilters: Filters = {
  genres: [],
  yearMin: null,
  yearMax: null,
  scoreMin: null,
  bestNewMusic: false,
};

/** Number of active filters; each genre counts as one. */
export const countFilters = ({ genres, yearMin, yearMax, scoreMin, bestNewMusic }: Filters) =>
  genres.length +
  Number(yearMin !== null) +
  Number(yearMax !== null) +
  Number(scoreMin !== null) +
  Number(bestNewMusic);

/** The filters under the API's parameter names, which links use too. */
export function filterParameters(filters: Filters): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const genre of filters.genres) parameters.append('genre', genre);
  const set = (name: string, value: number | null) => {
    if (value !== null) parameters.set(name, String(value));
  };
  set('year_min', filters.yearMin);
  set('year_max', filters.yearMax);
  set('score_min', filters.scoreMin);
  if (filters.bestNewMusic) parameters.set('best_new_music', 'true');
  return parameters;
}

/** @returns a query string with its `?`, or `./` for the bare page; both resolve relative to the page */
export function linkTo({ subject, filters, album }: Address): string {
  const parameters = new URLSearchParams();
  if (subject.kind === 'similar') parameters.set('similar_to', String(subject.albumId));
  const words = wordsOf(subject);
  if (subject.kind === 'text') parameters.set('query', subject.query);
  if (words !== undefined) parameters.set('with', words);
  if (subject.kind === 'text' && subject.by) parameters.set('by', subject.by);
  for (const [name, value] of filterParameters(filters)) parameters.append(name, value);
  if (album !== null) parameters.set('album', String(album));
  return parameters.size > 0 ? `?${parameters.toString()}` : './';
}

/** The words added to a search by picture or album. */
export const wordsOf = (subject: Subject): string | undefined =>
  subject.kind === 'similar' || subject.kind === 'picture' ? subject.words : undefined;

/** The words that a link adds to an album, or to the picture of its history entry. */
export const readWords = (search: string): { words?: string } => {
  const words = (new URLSearchParams(search).get('with') ?? '').trim();
  return words === '' ? {} : { words };
};

/** Parses a link. Invalid parts are ignored, so that a truncated link is still a search. */
export function readLink(search: string): Address {
  const parameters = new URLSearchParams(search);
  const integer = (name: string, digits: RegExp) => {
    const value = parameters.get(name) ?? '';
    return digits.test(value) ? Number(value) : null;
  };
  const query = (parameters.get('query') ?? '').trim();
  const by = (['name', 'cover'] as const).find((one) => one === parameters.get('by'));
  const similarTo = integer('similar_to', /^\d{1,15}$/);
  const score = Number.parseFloat(parameters.get('score_min') ?? '');
  return {
    subject: query
      ? { kind: 'text', query, ...(by && { by }) }
      : similarTo !== null
        ? { kind: 'similar', albumId: similarTo, ...readWords(search) }
        : { kind: 'nothing' },
    filters: {
      genres: [...new Set(parameters.getAll('genre').filter((genre) => genre.trim() !== ''))],
      ...inOrder(integer('year_min', /^\d{4}$/), integer('year_max', /^\d{4}$/)),
      scoreMin: score > 0 && score <= 10 ? score : null,
      bestNewMusic: parameters.get('best_new_music') === 'true',
    },
    album: integer('album', /^\d{1,15}$/),
  };
}

/** Swaps years given in the wrong order, which the API would reject. */
export const inOrder = (yearMin: number | null, yearMax: number | null) =>
  yearMin !== null && yearMax !== null && yearMin > yearMax
    ? { yearMin: yearMax, yearMax: yearMin }
    : { yearMin, yearMax };
