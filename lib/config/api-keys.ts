import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors.ts';

/** An API key as configured: its owner's name, and the SHA-256 of the key. */
export interface ApiKey {
  readonly name: string;
  readonly sha256: Buffer;
}

/** Whether a name is valid. `sv_…` is not: that is a key in place of a name. */
export const isKeyName = (text: string): boolean => /^(?!sv_)[\w.-]{1,64}$/.test(text);

export const keyNameExpected =
  '1 to 64 letters, digits, dots, dashes or underscores, not beginning with sv_';

/**
 * Creates a key: `sv_` and 256 random bits as base64url. That many bits can't be guessed, so a plain SHA-256 is enough.
 *
 * @returns the key, which is stored nowhere, and its entry for `API_KEYS`
 */
export function createApiKey(name: string): { key: string; entry: string } {
  const key = `sv_${randomBytes(32).toString('base64url')}`;
  return { key, entry: `${name}:${digest(key).toString('hex')}` };
}

/**
 * Reads `name:hash` pairs, separated by commas. No error repeats an entry: it may be a key put there by mistake.
 *
 * @param setting name of the setting, for errors
 * @throws AppError `invalid_config`, naming the entry by its number and what is wrong with it
 */
export function parseApiKeys(text: string, setting: string): readonly ApiKey[] {
  const keys: ApiKey[] = [];
  for (const [i, entry] of text.split(',').entries()) {
    const refuse = (why: string) =>
      new AppError(
        'invalid_config',
        `Expected name:hash for entry ${String(i + 1)} of ${setting}, as "shazam-visual key create" prints it, but ${why}.`,
        { parameters: [setting] },
      );
    const [name = '', hash, ...rest] = entry.trim().split(':');
    if (hash === undefined || rest.length > 0)
      throw refuse('it is not two parts separated by a colon');
    if (!isKeyName(name)) throw refuse(`its name is not ${keyNameExpected}`);
    if (!/^[0-9a-f]{64}$/i.test(hash)) throw refuse('its hash is not 64 hexadecimal digits');
    const sha256 = Buffer.from(hash, 'hex');
    if (keys.some((other) => other.name === name)) throw refuse('its name is a duplicate');
    if (keys.some((other) => other.sha256.equals(sha256))) throw refuse('its key is a duplicate');
    keys.push({ name, sha256 });
  }
  return Object.freeze(keys);
}

/**
 * The name of a key; `undefined` if it is unknown. Takes the same time for all keys of one length, because every digest
 * is compared.
 */
export function nameOfKey(keys: readonly ApiKey[], key: string): string | undefined {
  const given = digest(key);
  return keys.filter(({ sha256 }) => timingSafeEqual(sha256, given)).at(-1)?.name;
}

/** Text with API keys removed, for the log: a client may have put one into a URL. */
export const withoutKeys = (text: string): string => text.replace(/sv_[\w-]{43}/g, 'sv_…');

const digest = (key: string): Buffer => createHash('sha256').update(key).digest();
