/**
 * The pages for people, as `vite build` leaves them in a folder: the console, a timer's display, and
 * the display's web component for the pages of others.
 */
import express, { type Express, type RequestHandler, type Response } from 'express';
import { Problem } from '../protocol/problems.js';

/**
 * Nothing but what this service serves, and no script or style in the text of a page: even a timer's
 * name that got into a page as markup could do nothing. Only the icon is a data URL.
 */
const POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types lit-html',
];
/** Another site must not lay the console under its own buttons; a display controls nothing. */
const POLICIES = {
  console: [...POLICY, "frame-ancestors 'none'"].join('; '),
  display: POLICY.join('; '),
};

const A_YEAR_MS = 365 * 24 * 60 * 60 * 1000;
/** How long a page of others may go on with the component it has. */
const COMPONENT_MS = 5 * 60 * 1000;

const NOT_BUILT = 'The pages of this service have not been built; run: npm run build';

/** Answers at the addresses of the pages; without a folder it says in words what is missing. */
export function servePages(app: Express, root: string | undefined): void {
  app.get('/', pageFrom(root, 'console'));
  app.get('/display/:timer_id', pageFrom(root, 'display'));
  app.get('/synchronized-timer.js', componentFrom(root));
  if (root === undefined) return;
  // The name of an asset changes with its content, so what has been fetched once stays right.
  const caching = { immutable: true, maxAge: A_YEAR_MS, index: false, redirect: false };
  app.use('/assets', harden, express.static(`${root}/assets`, caching));
}

/** A page is asked for anew each time, so that it names the assets of the present release. */
function pageFrom(root: string | undefined, page: keyof typeof POLICIES): RequestHandler {
  return (_, response, next) => {
    if (root === undefined) throw new Problem('unknown_route', NOT_BUILT);
    setHeaders(response);
    response.set({ 'Content-Security-Policy': POLICIES[page], 'Cache-Control': 'no-cache' });
    const options = { root, cacheControl: false };
    response.sendFile(`${page}/index.html`, options, (error) => error && next(missing(error)));
  };
}

/** Any page on the web may load the component; whether it may connect is for CORS_ORIGINS to say. */
function componentFrom(root: string | undefined): RequestHandler {
  return (_, response, next) => {
    if (root === undefined) throw new Problem('unknown_route', NOT_BUILT);
    setHeaders(response);
    response.set({
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
    });
    const options = { root, maxAge: COMPONENT_MS };
    response.sendFile('synchronized-timer.js', options, (error) => error && next(missing(error)));
  };
}

const harden: RequestHandler = (_, response, next) => {
  setHeaders(response);
  next();
};

function setHeaders(response: Response): void {
  response.set({ 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer' });
}

function missing(error: Error): Error {
  const isAbsent = 'code' in error && error.code === 'ENOENT';
  return isAbsent ? new Problem('unknown_route', NOT_BUILT) : error;
}
