/** Reads from the page's address what it is to show: the timer from the path, the rest from the query. */
import * as z from 'zod/mini';
import { DisplayPage } from './display-page.js';
import { keepAwake } from './wake-lock.js';

// The page's content policy forbids code that is made at run time; zod does without.
z.config({ jitless: true });

const THEMES = ['dark', 'light'];
const LONGEST_LABEL = 100;

function start(page: DisplayPage): void {
  const query = new URLSearchParams(location.search);
  const theme = query.get('theme') ?? '';
  if (THEMES.includes(theme)) document.documentElement.dataset.theme = theme;
  page.timer = decodeURIComponent(location.pathname.split('/').at(-1) ?? '');
  page.label = query.get('label')?.slice(0, LONGEST_LABEL) || undefined;
  keepAwake();
}

const page = document.querySelector('display-page');
if (page instanceof DisplayPage) start(page);
