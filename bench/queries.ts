/** Search requests as clients send them. */

/** The search response fields common to this project's server and the prototype. */
export interface Found {
  total_results: number;
  results: { album_id: number; similarity_score: number }[];
}

export interface Query {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array<ArrayBuffer>;
}

const boundary = 'picture-and-k';

/** A search by picture: a multipart form with the picture as the field `file`. */
export function pictureQuery(picture: Buffer): Query {
  const before =
    `--${boundary}\r\nContent-Disposition: form-data; name="k"\r\n\r\n10\r\n` +
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="query.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`;
  return {
    method: 'POST',
    path: '/api/search-by-image',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: new Uint8Array(
      Buffer.concat([Buffer.from(before), picture, Buffer.from(`\r\n--${boundary}--\r\n`)]),
    ),
  };
}

export const textQuery = (words: string): Query => ({
  method: 'GET',
  path: `/api/search-by-text?k=10&query=${encodeURIComponent(words)}`,
  headers: {},
});

/** The same pixels in different bytes, so that no embedding is cached: adds a comment after the first marker. */
export function withComment(jpeg: Buffer, comment: string): Buffer {
  const text = Buffer.from(comment);
  const segment = Buffer.from([0xff, 0xfe, 0, 0]);
  segment.writeUInt16BE(text.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), segment, text, jpeg.subarray(2)]);
}

const subjects = [
  'a dark forest',
  'red circle',
  'a portrait in black and white',
  'microphone',
  'blue stripes',
];

/** A query text, unique per number. */
export const words = (n: number): string => `${subjects[n % subjects.length] ?? ''} ${String(n)}`;

/** @throws if the response does not have ten albums */
export async function searchByPicture(base: string, picture: Buffer): Promise<Found> {
  const { path, ...query } = pictureQuery(picture);
  const response = await fetch(base + path, query);
  const found = (await response.json()) as Found;
  if (!response.ok || found.total_results !== 10) throw new Error(JSON.stringify(found));
  return found;
}
