/**
 * Strokes of each character on a grid 4 wide and 6 high: two digits per point (x, y), lines separated by `|`.
 * Covers use these instead of fonts, so that they look the same on every machine.
 */
const strokes: Record<string, string> = {
  A: '06 20 46|14 34',
  B: '00 06 36 45 44 33 03|33 42 41 30 00',
  C: '41 30 10 01 05 16 36 45',
  D: '00 06 26 44 42 20 00',
  E: '40 00 06 46|03 33',
  F: '40 00 06|03 33',
  G: '41 30 10 01 05 16 36 45 43 23',
  H: '00 06|40 46|03 43',
  I: '20 26',
  J: '40 45 36 16 05',
  K: '00 06|40 03 46',
  L: '00 06 46',
  M: '06 00 23 40 46',
  N: '06 00 46 40',
  O: '10 30 41 45 36 16 05 01 10',
  P: '06 00 30 41 42 33 03',
  Q: '10 30 41 45 36 16 05 01 10|24 46',
  R: '06 00 30 41 42 33 03|23 46',
  S: '41 30 10 01 02 13 33 44 45 36 16 05',
  T: '00 40|20 26',
  U: '00 05 16 36 45 40',
  V: '00 26 40',
  W: '00 16 22 36 40',
  X: '00 46|40 06',
  Y: '00 23 40|23 26',
  Z: '00 40 06 46',
  0: '10 30 41 45 36 16 05 01 10|41 05',
  1: '11 20 26|16 36',
  2: '01 10 30 41 42 06 46',
  3: '00 40 22 33 44 45 36 16 05',
  4: '36 30 04 44',
  5: '40 00 03 33 44 45 36 06',
  6: '40 20 02 05 16 36 45 44 33 03',
  7: '00 40 16',
  8: '10 30 41 42 33 13 04 05 16 36 45 44 33|13 02 01 10',
  9: '06 26 44 41 30 10 01 02 13 43',
  '&': '46 11 20 31 04 05 16 26 44',
  "'": '20 21',
  '-': '13 33',
  '.': '25 26',
  '!': '20 24|25 26',
  '?': '01 10 30 41 23 24|25 26',
};

export interface Lettering {
  text: string;
  /** Where the text starts, is centred or ends, depending on `align`; `y` is its top. */
  x: number;
  y: number;
  /** Height of the letters; reduced if the text would be wider than `width`. */
  height: number;
  width: number;
  align: 'start' | 'middle' | 'end';
  /** Thickness of the strokes as a fraction of the height. */
  weight: number;
  /** In degrees. */
  slant: number;
  /** Space between letters as a fraction of the height. */
  spacing: number;
  ink: string;
}

const narrow = new Set(['I', "'", '.', '!']);
const n = (value: number): string => value.toFixed(1);

/** Width of a character on the grid. */
const advance = (character: string): number =>
  character === ' ' ? 2.4 : narrow.has(character) ? 1 : 4;

/**
 * Draws one line of capitals as SVG.
 *
 * @returns the drawing and its height
 */
export function drawLettering(lettering: Lettering): { svg: string; height: number } {
  const { x, y, width, align, weight, slant, spacing, ink } = lettering;
  const characters = Array.from(lettering.text.toUpperCase()).filter(
    (character) => character === ' ' || character in strokes,
  );
  const gap = 6 * spacing;
  const total = characters.reduce((sum, character) => sum + advance(character) + gap, -gap);
  const height = Math.min(lettering.height, (6 * width) / Math.max(total, 1));
  const unit = height / 6;
  let left = x - total * unit * { start: 0, middle: 0.5, end: 1 }[align];
  const path = characters
    .map((character) => {
      const from = left - (narrow.has(character) ? 1.5 * unit : 0);
      left += (advance(character) + gap) * unit;
      return (strokes[character] ?? '')
        .split('|')
        .filter(Boolean)
        .map((line) => {
          const points = line.split(' ').map((point) => {
            const column = Number(point[0]);
            const row = Number(point[1]);
            const lean = (3 - row) * unit * Math.tan((slant * Math.PI) / 180);
            return `${n(from + column * unit + lean)} ${n(y + row * unit)}`;
          });
          return `M${points.join('L')}`;
        })
        .join('');
    })
    .join('');
  const svg = `<path fill="none" stroke="${ink}" stroke-width="${n(Math.max(1.6, weight * height))}" stroke-linejoin="round" stroke-linecap="square" d="${path}"/>`;
  return { svg, height };
}
