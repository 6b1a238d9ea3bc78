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

const A_YEAR_SECONDS = 365 * 24 * 60 * 60;
/** How long a page of others may go on with the component it has. */
const COMPONENT_SECONDS = 5 * 60;

/** A page is asked for anew each time, so that it names the assets of the present release. */
const PAGE = { 'Cache-Control': 'no-cache' };
/** Any page on the web may load the component; whether it may connect is for CORS_ORIGINS to say. */
const COMPONENT = {
  'Cache-Control': `public, max-age=${COMPONENT_SECONDS}`,
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};
/** The name of an asset changes with its content, so what has been fetched once stays right. */
const ASSET = { 'Cache-Control': `public, max-age=${A_YEAR_SECONDS}, immutable` };

const NOT_BUILT = 'The pages of this service have not been built; run: npm run build';

type Headers = Readonly<Record<string, string>>;

/** Answers at the addresses of the pages; where they are missing it says so in words. */
export function servePages(app: Express, webDirectory: string | undefined): void {
  const consolePage = { ...PAGE, 'Content-Security-Policy': POLICIES.console };
  const displayPage = { ...PAGE, 'Content-Security-Policy': POLICIES.display };
  app.route('/').all(onlyRead, file(webDirectory, '/console/index.html', consolePage));
  app
    .route('/display/:timer_id')
    .all(onlyRead, file(webDirectory, '/display/index.html', displayPage));
  const component = '/synchronized-timer.js';
  app.route(component).all(onlyRead, file(webDirectory, component, COMPONENT));
  if (webDirectory !== undefined) app.use('/assets', filesOf(`${webDirectory}/assets`, ASSET));
}

const onlyRead: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') return next();
  response.set('Allow', 'GET, HEAD');
  throw new Problem('method_not_allowed', `${request.method} is not possible here; use GET`);
};

/** One file, at whatever address; without it this says what to do. */
function file(folder: string | undefined, path: string, headers: Headers): RequestHandler {
  const files = folder === undefined ? undefined : filesOf(folder, headers);
  return (request, response, next) => {
    const missing = new Problem('unknown_route', NOT_BUILT);
    if (files === undefined) throw missing;
    request.url = path;
    files(request, response, (error: unknown) => next(error ?? missing));
  };
}

/** The files of a folder, with an ETag. */
function filesOf(folder: string, headers: Headers): RequestHandler {
  return express.static(folder, {
    cacheControl: false,
    index: false,
    redirect: false,
    setHeaders: (response: Response) => response.set(headers),
  });
}
