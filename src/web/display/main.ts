/** Reads from the page's address what it is to show, and takes the token out of it, which it keeps for this window. */
import * as z from 'zod/mini';
import { recall, remember } from '../memory.js';
import { DisplayPage } from './display-page.js';
import { readLink } from './link.js';
import { keepAwake } from './wake-lock.js';

// The page's content policy forbids code that is made at run time; zod does without.
z.config({ jitless: true });

function show(page: DisplayPage): void {
  const { timerId, label, theme, token, hrefWithoutToken } = readLink(location.href);
  const memory = `timer-display.token.${timerId}`;
  if (token !== undefined) {
    remember(memory, token, 'window');
    history.replaceState(null, '', hrefWithoutToken);
  }
  if (theme !== undefined) document.documentElement.dataset.theme = theme;
  page.timer = timerId;
  page.label = label;
  // After a reload the address has no token any more.
  page.token = token ?? recall(memory, 'window');
}

const page = document.querySelector('display-page');
if (page instanceof DisplayPage) {
  show(page);
  keepAwake();
  // A new link to the same timer, opened in this window, differs behind the # only.
  addEventListener('hashchange', () => show(page));
}
