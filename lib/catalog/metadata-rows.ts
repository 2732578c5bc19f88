/**
 * The elements of the metadata file exactly as written, so that elements that are kept stay as pandas wrote them,
 * including literal `NaN` and `2012.0`.
 *
 * @param text a JSON list in the wider sense of {@link parsePandasJson}
 * @throws SyntaxError if it is not a list, ends too early, or continues after its end
 */
export const splitRows = (text: string): string[] => [...eachRow(text)];

/** Like {@link splitRows}, one element at a time. */
export function* eachRow(text: string): Generator<string> {
  const start = text.search(/\S/) + 1;
  if (text[start - 1] !== '[') throw new SyntaxError('expected a JSON list');
  let from = start;
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) at = endOfString(text, at);
    else if (character === openBrace || character === openBracket) depth += 1;
    else if (character === closeBrace || (character === closeBracket && depth > 0)) depth -= 1;
    else if ((character === comma && depth === 0) || character === closeBracket) {
      const row = text.slice(from, at).trim();
      const isEmptyList = character === closeBracket && from === start;
      if (row !== '') yield row;
      else if (!isEmptyList) throw new SyntaxError('an element is missing');
      if (character === closeBracket) {
        if (text.slice(at + 1).trim() === '') return;
        throw new SyntaxError('there is text after the list');
      }
      from = at + 1;
    }
  }
  throw new SyntaxError('the list does not end');
}

/** The list in the layout of Python's `json.dump(indent=2)`. */
export const joinRows = (rows: readonly string[]): string =>
  rows.length === 0 ? '[]' : `[\n  ${rows.join(',\n  ')}\n]`;

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Position of the closing quote of the string that begins at `from`. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === backslash) at += 1;
    else if (character === quote) return at;
  }
  throw new SyntaxError('a string does not end');
}
