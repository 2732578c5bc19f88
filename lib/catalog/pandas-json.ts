/**
 * Parses JSON as written by Python's `json.dump`: the literals `NaN`, `Infinity` and `-Infinity`, which RFC 8259 does
 * not allow and `JSON.parse` rejects, become `null`. Inside strings they are left alone.
 *
 * @throws SyntaxError if the text is not JSON in this wider sense either.
 */
export function parsePandasJson(text: string): unknown {
  if (!text.includes('NaN') && !text.includes('Infinity')) return JSON.parse(text);
  const keepString = (match: string) => (match.startsWith('"') ? match : 'null');
  return JSON.parse(text.replace(stringOrLiteral, keepString));
}

/**
 * Matches a string, which is kept, or one of the three literals, which is replaced. An unterminated string extends to
 * the end of the text, so that the search does not restart at each quote in it.
 */
const stringOrLiteral = /"(?:[^"\\]|\\.|\\$)*(?:"|$)|-?Infinity|NaN/gs;
