/** Messages without information: the error's cause has it. */
const empty = new Set(['', 'fetch failed', 'terminated', 'Error']);

/** The reason of a failure in a few words; for an error that only wraps another, the other's. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (!empty.has(error.message)) return error.message;
  if (error.cause !== undefined) return reasonOf(error.cause);
  return 'code' in error ? String(error.code) : error.message || error.name;
}
