/** Searches as clients send them. */

/** What both this project's server and its prototype answer a search with. */
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

/** A picture as the field `file` of a form. */
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

/** The same pixels in other bytes, so that no embedding is kept for them: a comment after the first marker. */
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

/** Words that no other number has. */
export const words = (n: number): string => `${subjects[n % subjects.length] ?? ''} ${String(n)}`;

/** @throws where it is not answered with ten albums */
export async function searchByPicture(base: string, picture: Buffer): Promise<Found> {
  const { path, ...query } = pictureQuery(picture);
  const response = await fetch(base + path, query);
  const found = (await response.json()) as Found;
  if (!response.ok || found.total_results !== 10) throw new Error(JSON.stringify(found));
  return found;
}
