import { median } from '../machine.ts';

/** Figures where higher is better; for all others lower is better. */
const moreIsBetter = /a second$|a processor second$/;
/** Figures about the benchmark itself. */
const ownFigure = /^the (?:prober|clients)'|at the clients$/;

const shown = (value: number) =>
  Number.isNaN(value) ? '–' : value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);

/** Figures of several servers over several rounds. Its text is a table of the medians, followed by every value. */
export class Comparison {
  readonly #labels: readonly string[];
  readonly #judged: string;
  /** The values of all rounds, by figure and server. */
  readonly #figures = new Map<string, Map<string, number[]>>();

  /** @param judged label of the server that is compared with each of the others */
  constructor(labels: readonly string[], judged: string) {
    this.#labels = labels;
    this.#judged = judged;
  }

  add(label: string, figures: Record<string, number>): void {
    for (const [name, value] of Object.entries(figures)) {
      const servers = this.#figures.get(name) ?? new Map<string, number[]>();
      this.#figures.set(name, servers);
      servers.set(label, [...(servers.get(label) ?? []), value]);
    }
  }

  /** Adds the quotient of the medians of two figures as a figure, for servers that have both. */
  divide(name: string, over: string, under: string): void {
    for (const label of this.#labels) {
      const quotient = this.#median(over, label) / this.#median(under, label);
      if (!Number.isNaN(quotient)) this.add(label, { [name]: quotient });
    }
  }

  toString(): string {
    const others = this.#labels.filter((label) => label !== this.#judged);
    const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    const header = ['', ...this.#labels, ...others.map((label) => `${this.#judged} : ${label}`)];
    const names = [...this.#figures.keys()];
    return [
      row(header),
      row(header.map(() => '---')),
      ...names.map((name) =>
        row([
          name,
          ...this.#labels.map((label) => shown(this.#median(name, label))),
          ...others.map((label) => this.#ratio(name, label)),
        ]),
      ),
      '',
      `Medians. A ratio above 1 means that ${this.#judged} is better by that factor.`,
      '',
      'Every value, in the order of the rounds:',
      '',
      ...names.flatMap((name) =>
        Array.from(
          this.#figures.get(name) ?? [],
          ([label, all]) => `- ${name}, ${label}: ${all.map(shown).join(' ')}`,
        ),
      ),
    ].join('\n');
  }

  #median(name: string, label: string): number {
    return median(this.#figures.get(name)?.get(label) ?? []);
  }

  #ratio(name: string, other: string): string {
    const ratio = this.#median(name, this.#judged) / this.#median(name, other);
    if (Number.isNaN(ratio) || ownFigure.test(name) || name.includes('÷')) return '–';
    return (moreIsBetter.test(name) ? ratio : 1 / ratio).toFixed(2);
  }
}
