/** A Space is shown within a page of huggingface.co. */
export const frameAncestors = "frame-ancestors 'self' https://huggingface.co";

/**
 * What the page may do: load what came with it, show covers of this service and the user's own picture
 * (`blob:`), and ask this service. Nothing inline, nothing from elsewhere.
 *
 * @param ancestors who may show it within a page of theirs
 */
export const pagePolicy = (ancestors: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "require-trusted-types-for 'script'",
    ancestors,
  ].join('; ');
