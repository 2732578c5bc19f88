import { bitAt } from '../bitmap.ts';
import type { Album } from './album.ts';

/** Albums of a chunk, at most; a power of two. */
export const chunkSize = 2 ** 14;

/** The columns of text. */
export const textColumns = [
  'artist',
  'albumName',
  'label',
  'reviewer',
  'coverUrl',
  'filename',
] as const;
export type TextColumn = (typeof textColumns)[number];

/** One text an album, as UTF-8; a missing one is empty, as no other is. */
export interface Texts {
  bytes: Uint8Array;
  /** Where each text begins, and where the last one ends. */
  offsets: Int32Array;
}

/** Some consecutive albums. Laid out as in Apache Arrow, so that reading and writing the compact file copies nothing. */
export interface AlbumChunk {
  ids: Float64Array;
  /** 0: unknown. */
  years: Int16Array;
  /** NaN: none. */
  scores: Float64Array;
  /** One bit an album, the lowest of each byte first. */
  bestNewMusic: Uint8Array;
  /** Position in the list of genres; 0: none. */
  genres: Uint32Array;
  texts: Readonly<Record<TextColumn, Texts>>;
}

/** The fields of all albums, a column each: a million albums take 200 MB, and as objects 1 GB. */
export class AlbumColumns {
  readonly chunks: readonly AlbumChunk[];
  /** Every genre as written, e.g. `Electronic / Rock`; the first one stands for none. */
  readonly genreNames: readonly string[];
  readonly size: number;

  /** @param chunks all but the last one full */
  constructor(chunks: readonly AlbumChunk[], genreNames: readonly string[]) {
    this.chunks = chunks;
    this.genreNames = genreNames;
    this.size = chunks.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  id(row: number): number {
    return this.#chunk(row).ids[row % chunkSize] ?? NaN;
  }

  text(column: TextColumn, row: number): string | null {
    const { bytes, offsets } = this.#chunk(row).texts[column];
    const at = row % chunkSize;
    const [from = 0, to = 0] = [offsets[at], offsets[at + 1]];
    return from === to ? null : decode(bytes, from, to);
  }

  artist(row: number): string | null {
    return this.text('artist', row);
  }

  albumName(row: number): string | null {
    return this.text('albumName', row);
  }

  label(row: number): string | null {
    return this.text('label', row);
  }

  genre(row: number): string | null {
    const code = this.#chunk(row).genres[row % chunkSize] ?? 0;
    return code === 0 ? null : (this.genreNames[code] ?? null);
  }

  releaseYear(row: number): number | null {
    const year = this.#chunk(row).years[row % chunkSize] ?? 0;
    return year === 0 ? null : year;
  }

  score(row: number): number | null {
    const score = this.#chunk(row).scores[row % chunkSize] ?? NaN;
    return Number.isNaN(score) ? null : score;
  }

  /** @throws RangeError if there is no such row */
  album(row: number): Album {
    const at = row % chunkSize;
    return {
      id: this.id(row),
      artist: this.artist(row),
      albumName: this.albumName(row),
      genre: this.genre(row),
      releaseYear: this.releaseYear(row),
      score: this.score(row),
      bestNewMusic: bitAt(this.#chunk(row).bestNewMusic, at),
      label: this.label(row),
      reviewer: this.text('reviewer', row),
      coverUrl: this.text('coverUrl', row),
      filename: this.text('filename', row),
    };
  }

  #chunk(row: number): AlbumChunk {
    const chunk = this.chunks[Math.floor(row / chunkSize)];
    if (!chunk || row >= this.size)
      throw new RangeError(`row ${String(row)} of ${String(this.size)}`);
    return chunk;
  }
}

const decode = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString();

/** Collects albums in columns. */
export class AlbumColumnsBuilder {
  readonly #chunks: AlbumChunk[] = [];
  readonly #genreCodes = new Map([['', 0]]);
  #open = new OpenChunk();

  add(album: Album): void {
    if (this.#open.size === chunkSize) {
      this.#chunks.push(this.#open.close());
      this.#open = new OpenChunk();
    }
    const genre = album.genre ?? '';
    const code = this.#genreCodes.get(genre) ?? this.#genreCodes.size;
    this.#genreCodes.set(genre, code);
    this.#open.add(album, code);
  }

  build(): AlbumColumns {
    const { size } = this.#open;
    return new AlbumColumns(size > 0 ? [...this.#chunks, this.#open.close()] : this.#chunks, [
      ...this.#genreCodes.keys(),
    ]);
  }
}

/** A chunk that is being filled. */
class OpenChunk {
  size = 0;
  readonly #ids = new Float64Array(chunkSize);
  readonly #years = new Int16Array(chunkSize);
  readonly #scores = new Float64Array(chunkSize);
  readonly #bestNewMusic = new Uint8Array(chunkSize / 8);
  readonly #genres = new Uint32Array(chunkSize);
  readonly #texts = textColumns.map((column) => ({ column, texts: new OpenTexts() }));

  add(album: Album, genre: number): void {
    const at = this.size;
    this.#ids[at] = album.id;
    this.#years[at] = album.releaseYear ?? 0;
    this.#scores[at] = album.score ?? NaN;
    if (album.bestNewMusic)
      this.#bestNewMusic[at >> 3] = (this.#bestNewMusic[at >> 3] ?? 0) | (1 << (at & 7));
    this.#genres[at] = genre;
    for (const { column, texts } of this.#texts) texts.add(album[column] ?? '', at);
    this.size += 1;
  }

  close(): AlbumChunk {
    const { size } = this;
    return {
      ids: this.#ids.slice(0, size),
      years: this.#years.slice(0, size),
      scores: this.#scores.slice(0, size),
      bestNewMusic: this.#bestNewMusic.slice(0, Math.ceil(size / 8)),
      genres: this.#genres.slice(0, size),
      texts: Object.fromEntries(
        this.#texts.map(({ column, texts }) => [column, texts.close(size)]),
      ) as Record<TextColumn, Texts>,
    };
  }
}

class OpenTexts {
  #bytes = Buffer.allocUnsafeSlow(chunkSize);
  readonly #offsets = new Int32Array(chunkSize + 1);

  add(text: string, at: number): void {
    const from = this.#offsets[at] ?? 0;
    this.#offsets[at + 1] = from;
    if (text === '') return;
    if (from + 3 * text.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (from + 3 * text.length));
      this.#bytes.copy(larger, 0, 0, from);
      this.#bytes = larger;
    }
    this.#offsets[at + 1] = from + this.#bytes.write(text, from);
  }

  close(size: number): Texts {
    const offsets = this.#offsets.slice(0, size + 1);
    return { bytes: Uint8Array.prototype.slice.call(this.#bytes, 0, offsets[size]), offsets };
  }
}
