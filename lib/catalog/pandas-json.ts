/**
 * Parses JSON as written by Python's `json.dump`: the literals `NaN`, `Infinity` and `-Infinity`, which RFC 8259 does
 * not allow and `JSON.parse` rejects, become `null`. Inside strings they are left alone.
 *
 * @throws SyntaxError if the text is not JSON in this wider sense either.
 */
export function parsePandasJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(withoutNaN(text));
  }
}

/**
 * Matches a string, which is kept, or one of the three literals, which is replaced. An unterminated string extends to
 * the end of the text, so that the search does not restart at each quote in it.
 */
const stringOrLiteral = /"(?:[^"\\]|\\.|\\$)*(?:"|$)|-?Infinity|NaN/gs;

const withoutNaN = (text: string): string =>
  text.replace(stringOrLiteral, (match) => (match.startsWith('"') ? match : 'null'));
