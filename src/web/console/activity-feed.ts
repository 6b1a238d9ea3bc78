/** What happened, newest first, with the time of day at which it happened by the server's clock. */
import { css, html, LitElement, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { FeedEntry } from './feed.js';
import { counted, durationText, timeOfDay } from './figures.js';
import { storyStyles } from './styles.js';

const WORDS: Record<string, string> = {
  created: 'created',
  started: 'started',
  paused: 'paused',
  resumed: 'resumed',
  stopped: 'stopped',
  expired: 'ran out of time',
  deleted: 'deleted',
};

export class ActivityFeed extends LitElement {
  static override properties = { feed: { attribute: false } };
  static override styles = [
    storyStyles,
    css`
    :host {
      display: block;
    }
    h2 {
      margin: 0;
      padding: 0.9rem 1rem 0.5rem;
      font-size: 1rem;
    }
    p {
      margin: 0;
      padding: 0 1rem 1rem;
      color: var(--muted);
      font-size: 0.9rem;
    }
    ol {
      padding: 0 1rem 1rem;
      font-size: 0.9rem;
    }
    li {
      gap: 0.75rem;
      padding: 0.35rem 0;
    }
    small {
      display: block;
      color: var(--muted);
    }
    .reason {
      color: inherit;
    }
  `,
  ];

  declare feed: readonly FeedEntry[];

  protected override render(): TemplateResult {
    return html`
      <h2 id="heading">What happened</h2>
      ${
        this.feed.length === 0
          ? html`<p>Nothing yet. Whatever is done to a timer, here or elsewhere, is listed here.</p>`
          : html`
            <ol aria-labelledby="heading">
              ${repeat(
                this.feed,
                ({ key }) => key,
                (entry) => itemOf(entry),
              )}
            </ol>
          `
      }
    `;
  }
}

function itemOf(entry: FeedEntry): TemplateResult {
  const { names, count, by, reason, atMs } = entry;
  const isAlone = count === 1;
  const others = count - names.length;
  const list = others > 0 ? `${names.join(', ')} and ${others} more` : names.join(', ');
  const author = by === undefined ? '' : ` by ${by}`;
  return html`
    <li>
      <time datetime=${new Date(atMs).toISOString()}>${timeOfDay(atMs)}</time>
      <span>
        ${isAlone ? names[0] : counted(count, 'timer')} ${wordsFor(entry)}${author}
        ${reason === undefined ? '' : html`<small class="reason">${reason}</small>`}
        ${isAlone ? '' : html`<small>${list}</small>`}
      </span>
    </li>
  `;
}

function wordsFor({ change, addedSeconds }: FeedEntry): string {
  if (change === 'extended') return `extended by ${durationText(addedSeconds ?? 0)}`;
  return WORDS[change] ?? change;
}

customElements.define('activity-feed', ActivityFeed);
