/** huggingface.co shows a Space in a frame. */
export const frameAncestors = "frame-ancestors 'self' https://huggingface.co";

/**
 * The page's Content-Security-Policy: it may load its own files, show this service's covers and the user's own picture
 * (`blob:`), and call this service. Nothing inline, nothing from other origins.
 *
 * @param ancestors directive that says which pages may frame this one
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
