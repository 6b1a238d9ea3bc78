/** What the address of a display page says: the timer in the path, the rest in the query and behind the `#`. Pure. */

const THEMES = ['dark', 'light'];
const LONGEST_LABEL = 100;
const TOKEN = 'access_token';

export interface DisplayLink {
  readonly timerId: string;
  readonly label: string | undefined;
  readonly theme: string | undefined;
  readonly token: string | undefined;
  /** The same address without the token, which is not to be read over a shoulder or copied. */
  readonly hrefWithoutToken: string;
}

export function readLink(href: string): DisplayLink {
  const url = new URL(href);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const { searchParams } = url;
  const theme = searchParams.get('theme') ?? '';
  const token = fragment.get(TOKEN) ?? searchParams.get(TOKEN);
  searchParams.delete(TOKEN);
  if (fragment.has(TOKEN)) url.hash = '';
  return {
    timerId: decodeURIComponent(url.pathname.split('/').at(-1) ?? ''),
    label: searchParams.get('label')?.slice(0, LONGEST_LABEL) || undefined,
    theme: THEMES.includes(theme) ? theme : undefined,
    token: token || undefined,
    hrefWithoutToken: url.href,
  };
}
