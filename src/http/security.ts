/**
 * What every answer says to browsers about itself, by helmet. Answers of the API are data and may do nothing;
 * pages say what they may do where they are served.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import helmet from 'helmet';
import type { Addresses } from '../access/address.js';

const A_YEAR_SECONDS = 365 * 24 * 60 * 60;
const NOTHING = "default-src 'none'; frame-ancestors 'none'";

/**
 * Swagger UI loads what this service serves and nothing else. It has styles in the text of its page and sets
 * some as it goes, so these are allowed; scripts there are not.
 */
const DOCUMENTATION = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const documentationPolicy: RequestHandler = (_, response, next) => {
  response.set('Content-Security-Policy', DOCUMENTATION);
  next();
};

/** Puts the headers of every answer. Only one that came over TLS may ask browsers to insist on it. */
export function securityHeaders(
  addresses: Addresses,
): (request: IncomingMessage, response: ServerResponse) => void {
  const common = helmet({
    contentSecurityPolicy: false,
    strictTransportSecurity: false,
    // The policies say it in `frame-ancestors`: a display may be framed, and this header knows no such thing.
    xFrameOptions: false,
  });
  const insist = helmet.strictTransportSecurity({ maxAge: A_YEAR_SECONDS });
  return (request, response) => {
    response.setHeader('Content-Security-Policy', NOTHING);
    common(request, response, () => {});
    if (addresses.isSecure(request)) insist(request, response, () => {});
  };
}
