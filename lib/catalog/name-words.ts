/** Letters that Unicode does not decompose into a base letter and an accent. */
const baseLetters: Readonly<Record<string, string>> = {
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ß: 'ss',
  ı: 'i',
};

const isPlain = /^[a-z0-9 ]*$/;

/** Lower case, without accents and apostrophes: `Björk’s` becomes `bjorks`. */
function plain(text: string): string {
  const lower = text.toLowerCase();
  if (isPlain.test(lower)) return lower;
  return lower
    .normalize('NFKD')
    .replace(/[\p{M}'’‘`´]/gu, '')
    .replace(/[æœøłđðþßı]/g, (letter) => baseLetters[letter] ?? letter);
}

/**
 * The words of a name, each with its spellings: `AC/DC live` has `[['ac', 'dc'], ['acdc']]` and `[['live']]`. A word
 * without a letter or digit is kept as it is, for bands like `!!!`.
 */
export function nameWords(text: string): string[][][] {
  return plain(text)
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const parts = word.match(/[\p{L}\p{N}]+/gu) ?? [word];
      return parts.length > 1 ? [parts, [parts.join('')]] : [parts];
    });
}

/** The words of a name on one line, to compare names with: `The Beatles` and `beatles` are the same. */
export const nameKey = (text: string): string =>
  nameWords(text)
    .flatMap(([parts = []]) => parts)
    .join(' ')
    .replace(/^the (?=.)/, '');
