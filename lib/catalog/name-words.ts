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

/** Whether a text has only letters and digits of ASCII and spaces, as most names. */
export const isPlain = (text: string): boolean => /^[a-z0-9 ]*$/i.test(text);

/** Without accents and apostrophes: `björk’s` becomes `bjorks`. */
function plain(lower: string): string {
  const closed = lower.replace(/['’‘`´ʼ]/g, '');
  if (/^[ -~]*$/.test(closed)) return closed; // ASCII
  return closed
    .normalize('NFKD')
    .toLowerCase() // of `™`, too
    .replace(/\p{M}/gu, '')
    .replace(/[æœøłđðþßı]/g, (letter) => baseLetters[letter] ?? letter);
}

/**
 * The words of a name, each in its spellings: `AC/DC live` has `[['ac', 'dc'], ['acdc']]` and `[['live']]`. `&` and `+` are
 * `and`; other words without letters and digits are left out, unless there are no others, as in the name of the band `!!!`.
 */
export function nameWords(text: string): string[][][] {
  const lower = text.toLowerCase();
  if (isPlain(lower)) return lower.match(/[^ ]+/g)?.map((word) => [[word]]) ?? []; // most names, and fast
  const words = plain(lower)
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => (word === '&' || word === '+' ? 'and' : word));
  const spelled = words.flatMap((word) => {
    if (isPlain(word)) return [[[word]]];
    const parts = word.match(/[\p{L}\p{N}]+/gu);
    if (!parts) return [];
    return [parts.length > 1 ? [parts, [parts.join('')]] : [parts]];
  });
  return spelled.length > 0 ? spelled : words.map((word) => [[word]]);
}

/** The words without `the`, if there are others. */
export const tellingWords = (words: readonly string[]): readonly string[] => {
  const others = words.filter((word) => word !== 'the');
  return others.length > 0 ? others : words;
};
