/** What `POST /api/uploads` answers. */
export interface UploadTicket {
  upload_id: string;
  url: string;
  fields: Record<string, string>;
  max_bytes: number;
  expires_in: number;
}

/**
 * Sends a picture to S3 as a browser does.
 *
 * @param overrides fields to send otherwise than the ticket says
 * @returns the status of S3's answer
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
