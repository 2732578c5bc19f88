import { noFilters, type Filters } from '../address.ts';
import { icon, make } from '../dom.ts';
import { language } from '../language/language.ts';

/** The label of an active filter, and the filters without it. */
type Chip = [text: string, without: Filters];

function chips(filters: Filters): Chip[] {
  const words = language.words.filters;
  const { yearMin, yearMax, scoreMin } = filters;
  const list: Chip[] = filters.genres.map((genre) => [
    genre,
    { ...filters, genres: filters.genres.filter((one) => one !== genre) },
  ]);
  if (yearMin !== null) list.push([words.since(yearMin), { ...filters, yearMin: null }]);
  if (yearMax !== null) list.push([words.until(yearMax), { ...filters, yearMax: null }]);
  if (scoreMin !== null)
    list.push([words.scoreChip(language.number(scoreMin, 1)), { ...filters, scoreMin: null }]);
  if (filters.bestNewMusic)
    list.push([language.words.results.bestNewMusic, { ...filters, bestNewMusic: false }]);
  return list;
}

/** List items for the active filters, each a button that removes it. */
export function activeFilters(filters: Filters, change: (filters: Filters) => void): HTMLElement[] {
  const words = language.words.filters;
  const list = chips(filters).map(([text, without]) =>
    make(
      'li',
      {},
      make(
        'button',
        {
          class: 'chip',
          attributes: { type: 'button', 'aria-label': words.remove(text) },
          onClick: () => {
            change(without);
          },
        },
        text,
        icon('close'),
      ),
    ),
  );
  if (list.length > 1)
    list.push(
      make(
        'li',
        {},
        make('button', {
          class: 'quiet-button',
          text: words.clear,
          attributes: { type: 'button' },
          onClick: () => {
            change(noFilters);
          },
        }),
      ),
    );
  return list;
}
