/** The state in a link to the page: a search, its filters, and the open album. Does not touch the DOM. */

/** What is searched for. A picture does not fit in a link: it is kept in the history entry. */
export type Subject =
  | { kind: 'nothing' }
  | { kind: 'text'; query: string }
  | { kind: 'similar'; albumId: number }
  | { kind: 'picture' };

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
  if (subject.kind === 'text') parameters.set('query', subject.query);
  if (subject.kind === 'similar') parameters.set('similar_to', String(subject.albumId));
  for (const [name, value] of filterParameters(filters)) parameters.append(name, value);
  if (album !== null) parameters.set('album', String(album));
  return parameters.size > 0 ? `?${parameters.toString()}` : './';
}

/** Parses a link. Invalid parts are ignored, so that a truncated link is still a search. */
export function readLink(search: string): Address {
  const parameters = new URLSearchParams(search);
  const integer = (name: string, digits: RegExp) => {
    const value = parameters.get(name) ?? '';
    return digits.test(value) ? Number(value) : null;
  };
  const query = (parameters.get('query') ?? '').trim();
  const similarTo = integer('similar_to', /^\d{1,15}$/);
  const score = Number.parseFloat(parameters.get('score_min') ?? '');
  return {
    subject: query
      ? { kind: 'text', query }
      : similarTo !== null
        ? { kind: 'similar', albumId: similarTo }
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
