/**
 * Parses JSON as Python's `json.dump` writes it: the literals `NaN`, `Infinity` and `-Infinity`, which
 * RFC 8259 does not know and `JSON.parse` refuses, become `null`. Inside strings they are left alone.
 *
 * @throws SyntaxError where the text is not JSON in this wider sense either.
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
 * A string, which is kept, or one of the three literals, which is replaced. A string without an end goes on to the end
 * of the text, so that it is not searched for again from each quote in it.
 */
const stringOrLiteral = /"(?:[^"\\]|\\.|\\$)*(?:"|$)|-?Infinity|NaN/gs;

const withoutNaN = (text: string): string =>
  text.replace(stringOrLiteral, (match) => (match.startsWith('"') ? match : 'null'));
