/** Formats accepted as a query, and their names. */
export const acceptedFormats = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  avif: 'AVIF',
  heic: 'HEIC',
  tiff: 'TIFF',
  gif: 'GIF',
};
export type AcceptedFormat = keyof typeof acceptedFormats;

/**
 * Formats recognised only to report that they are not accepted, their names, and whether they are pictures in an
 * unsupported format or not pictures at all.
 */
export const otherFormats = {
  bmp: { name: 'a BMP picture', picture: true },
  jxl: { name: 'a JPEG XL picture', picture: true },
  jp2: { name: 'a JPEG 2000 picture', picture: true },
  psd: { name: 'a Photoshop document', picture: true },
  ico: { name: 'an icon', picture: true },
  svg: { name: 'an SVG drawing', picture: false },
  pdf: { name: 'a PDF document', picture: false },
};

export type SniffedFormat = AcceptedFormat | keyof typeof otherFormats;

/** Number of bytes at the start of a file that {@link sniffImage} examines. */
export const sniffLength = 1024;

const ascii = (head: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...head.subarray(from, to));

/** Magic numbers at offset 0, as latin-1 text. */
const signatures: readonly (readonly [string, SniffedFormat])[] = [
  ['\xff\xd8\xff', 'jpeg'],
  ['\x89PNG\r\n\x1a\n', 'png'],
  ['GIF87a', 'gif'],
  ['GIF89a', 'gif'],
  ['II*\0', 'tiff'],
  ['MM\0*', 'tiff'],
  ['BM', 'bmp'],
  ['\xff\x0a', 'jxl'],
  ['\0\0\0\x0cJXL \r\n\x87\n', 'jxl'],
  ['\0\0\0\x0cjP  \r\n\x87\n', 'jp2'],
  ['8BPS', 'psd'],
  ['\0\0\x01\0', 'ico'],
  ['%PDF-', 'pdf'],
];

/** ISO/IEC 23008-12 brands; `mif1` and `msf1` may hold either codec, so they alone decide nothing. */
const avifBrands = new Set(['avif', 'avis']);
const heicBrands = new Set(['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs']);
const eitherBrands = new Set(['mif1', 'mif2', 'msf1']);

/** Format of an ISO base media file, by its major brand, then by the compatible ones. */
function sniffIsoMedia(head: Uint8Array): SniffedFormat | null {
  if (head.length < 12 || ascii(head, 4, 8) !== 'ftyp') return null;
  const major = ascii(head, 8, 12);
  if (![avifBrands, heicBrands, eitherBrands].some((brands) => brands.has(major))) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const boxEnd = Math.min(view.getUint32(0), head.length);
  const brands = [major];
  for (let at = 16; at + 4 <= boxEnd; at += 4) brands.push(ascii(head, at, at + 4));
  const decisive = brands.find((brand) => avifBrands.has(brand) || heicBrands.has(brand));
  return avifBrands.has(decisive ?? '') ? 'avif' : 'heic';
}

/** What may precede the first element of an XML document: the start and end of each part. */
const prologParts = [
  { start: /^<\?xml/i, end: /\?>/ },
  { start: /^<!--/, end: /-->/ },
  { start: /^<!DOCTYPE\s[^>[]*\[/i, end: /\]\s*>/ },
  { start: /^<!DOCTYPE\s/i, end: />/ },
] as const;

/**
 * SVG has no magic number: it is XML (in UTF-8) whose first element is `svg`. Each part before that is searched for
 * once, from the end of the previous one, so that the time is linear in the length.
 */
function startsAsSvg(head: Uint8Array): boolean {
  let rest = new TextDecoder().decode(head.subarray(0, sniffLength)).trimStart();
  for (;;) {
    const part = prologParts.find(({ start }) => start.test(rest));
    if (part === undefined) return /^<svg[\s>]/i.test(rest);
    const end = part.end.exec(rest);
    if (end === null) return false;
    rest = rest.slice(end.index + end[0].length).trimStart();
  }
}

/**
 * Recognises a picture by its magic numbers, whatever its name.
 *
 * The library `file-type` is not used: it does not know SVG, and takes AVIF with the major brand `mif1` for HEIC,
 * `heim` and `hevm` for MP4.
 *
 * @param head the first bytes of the file; {@link sniffLength} of them are enough
 * @returns the format, or `null` if the bytes are not the start of a known picture format
 */
export function sniffImage(head: Uint8Array): SniffedFormat | null {
  const start = ascii(head, 0, 16);
  const known = signatures.find(([magic]) => start.startsWith(magic));
  if (known !== undefined) return known[1];
  if (start.startsWith('RIFF') && start.slice(8, 12) === 'WEBP') return 'webp';
  return sniffIsoMedia(head) ?? (startsAsSvg(head) ? 'svg' : null);
}
