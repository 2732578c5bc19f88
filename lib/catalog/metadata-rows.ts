const [quote, backslash] = [0x22, 0x5c];
export const comma = 0x2c;
/** The white space of JSON. */
export const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
/** A 1 for each byte that neither begins nor ends anything. */
const isOrdinary = new Uint8Array(256).fill(1);
for (const byte of [quote, backslash, comma, openBrace, closeBrace, openBracket, closeBracket])
  isOrdinary[byte] = 0;

/**
 * Splits a JSON list, in UTF-8 and in the wider sense of `parsePandasJson`, that arrives in chunks. Its elements are given
 * exactly as written, so that those that are kept stay as pandas wrote them, including literal `NaN` and `2012.0`.
 */
export class RowSplitter {
  #place: 'before' | 'inside' | 'after' = 'before';
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The unfinished element, as far as earlier chunks have it. */
  #parts: Uint8Array[] = [];
  #isFirst = true;

  /**
   * @returns the elements that end in this chunk
   * @throws SyntaxError if it is not a list, or continues after its end
   */
  push(chunk: Buffer): string[] {
    const rows: string[] = [];
    let at = 0;
    if (this.#place === 'before') {
      while (isSpace(chunk[at])) at += 1;
      if (at === chunk.length) return rows;
      if (chunk[at] !== openBracket) throw new SyntaxError('expected a JSON list');
      this.#place = 'inside';
      at += 1;
    }
    let from = at;
    let [depth, inString] = [this.#depth, this.#inString];
    if (this.#escaped && at < chunk.length) {
      this.#escaped = false;
      at += 1;
    }
    const { length } = chunk;
    let ended = this.#place === 'after';
    for (; at < length && !ended; at += 1) {
      const byte = chunk[at] ?? 0;
      if (isOrdinary[byte] === 1) continue;
      if (inString) {
        if (byte === quote) inString = false;
        else if (byte === backslash) {
          at += 1; // the next byte has no meaning of its own
          this.#escaped = at === length;
        }
      } else if (byte === quote) inString = true;
      else if (byte === openBrace || byte === openBracket) depth += 1;
      else if (byte === closeBrace || (byte === closeBracket && depth > 0)) depth -= 1;
      else if ((byte === comma && depth === 0) || byte === closeBracket) {
        const row = this.#finish(chunk, from, at).trim();
        if (row !== '') rows.push(row);
        else if (byte === comma || !this.#isFirst) throw new SyntaxError('an element is missing');
        this.#isFirst = false;
        ended = byte === closeBracket;
        from = at + 1;
      }
    }
    [this.#depth, this.#inString] = [depth, inString];
    if (ended) this.#place = 'after';
    if (!ended) this.#parts.push(chunk.subarray(from));
    else if (chunk.subarray(from).some((byte) => !isSpace(byte)))
      throw new SyntaxError('there is text after the list');
    return rows;
  }

  /** The text of an element that ends at `to`. */
  #finish(chunk: Buffer, from: number, to: number): string {
    if (this.#parts.length === 0) return chunk.toString('utf8', from, to);
    const bytes = Buffer.concat([...this.#parts, chunk.subarray(from, to)]);
    this.#parts = [];
    return bytes.toString();
  }

  /** @throws SyntaxError if the list is not complete */
  end(): void {
    if (this.#place === 'before') throw new SyntaxError('expected a JSON list');
    if (this.#inString) throw new SyntaxError('a string does not end');
    if (this.#place === 'inside') throw new SyntaxError('the list does not end');
  }
}
