/** What `CATALOG_URI` looks like. */
export const lanceUri = /^lance(:\/\/\/.+|\+s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/.*)?)$/;

/** Whether a command's argument names a table instead of a folder. */
export const isLanceUri = (text: string): boolean => lanceUri.test(text);

/** Of the service's S3 settings, what LanceDB does not read from the environment itself. */
export interface LanceStore {
  /** URL of another S3 implementation; `undefined`: AWS. */
  endpoint: string | undefined;
  /** Buckets in the path instead of the host name. */
  pathStyle: boolean;
}

/** Where a table is, for LanceDB. */
export interface LanceLocation {
  /** As configured, for messages. */
  place: string;
  /** A folder or `s3://bucket/prefix`. */
  database: string;
  storageOptions: Record<string, string>;
}

/** Attempts and times of LanceDB's S3 client, in seconds: a request must be answered before a gateway gives up (29 s). */
const patience = {
  client_max_retries: '3',
  client_retry_timeout: '8',
  connect_timeout: '2s',
  timeout: '8s',
};

/**
 * @param uri `lance:///folder` or `lance+s3://bucket/prefix`. Region and credentials come from the environment, the profile
 *   or the role, as for the other files in S3.
 */
export function lanceLocation(uri: string, { endpoint, pathStyle }: LanceStore): LanceLocation {
  const [scheme = '', path = ''] = uri.split('://', 2);
  if (scheme === 'lance') return { place: uri, database: path, storageOptions: {} };
  return {
    place: uri,
    database: `s3://${path}`,
    storageOptions: {
      ...patience,
      virtual_hosted_style_request: String(!pathStyle),
      ...(endpoint !== undefined && {
        endpoint,
        allow_http: String(endpoint.startsWith('http:')),
      }),
    },
  };
}
