import { wordsOf, type SearchBy, type Subject } from '../address.ts';
import { part } from '../dom.ts';

/** The controls that change what is searched for: names, covers or both; and words added to a picture or an album. */
export class Refinement {
  readonly #choice = part('by', HTMLFieldSetElement);
  readonly #form = part('refine', HTMLFormElement);
  readonly #words = part('refine-words', HTMLInputElement);
  #subject: Subject = { kind: 'nothing' };

  constructor(search: (subject: Subject) => void) {
    this.#choice.addEventListener('change', ({ target }) => {
      if (!(target instanceof HTMLInputElement) || this.#subject.kind !== 'text') return;
      const by = target.value === 'both' ? undefined : (target.value as SearchBy);
      search({ ...this.#subject, by });
    });
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const words = this.#words.value.trim();
      if (this.#subject.kind === 'similar' || this.#subject.kind === 'picture')
        search({ ...this.#subject, words: words === '' ? undefined : words });
    });
  }

  show(subject: Subject): void {
    if (subject === this.#subject) return; // only redrawn: what is being typed stays
    this.#subject = subject;
    this.#choice.hidden = subject.kind !== 'text';
    this.#form.hidden = subject.kind !== 'similar' && subject.kind !== 'picture';
    this.#words.value = wordsOf(subject) ?? '';
    const by = subject.kind === 'text' ? (subject.by ?? 'both') : 'both';
    for (const input of this.#choice.querySelectorAll('input')) input.checked = input.value === by;
  }
}
