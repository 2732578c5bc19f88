/** The response of `POST /api/uploads`. */
export interface UploadTicket {
  upload_id: string;
  url: string;
  fields: Record<string, string>;
  max_bytes: number;
  expires_in: number;
}

/**
 * Uploads a picture to S3 as a browser does.
 *
 * @param overrides fields that replace the ticket's
 * @returns the status of S3's response
 */
export async function sendForm(
  ticket: Pick<UploadTicket, 'url' | 'fields'>,
  picture: Buffer,
  overrides: Record<string, string> = {},
): Promise<number> {
  const data = new FormData();
  for (const [name, value] of Object.entries({ ...ticket.fields, ...overrides }))
    data.append(name, value);
  data.append('file', new Blob([new Uint8Array(picture)]));
  return (await fetch(ticket.url, { method: 'POST', body: data })).status;
}
