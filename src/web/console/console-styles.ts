/** The console's layout: the list, and beside or above it what happened. */
import { css } from 'lit';

export const consoleStyles = css`
  :host {
    display: grid;
    grid-template-rows: auto 1fr;
    min-height: 100dvh;
  }
  header {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem 1rem;
    padding: 0.75rem 1.25rem;
  }
  h1 {
    margin: 0;
    font-size: 1.35rem;
    letter-spacing: -0.01em;
  }
  .space {
    flex: 1;
  }
  .columns {
    display: grid;
    gap: 1.25rem;
    width: 100%;
    max-width: 110rem;
    margin: 0 auto;
    padding: 0 1.25rem 5rem;
    align-items: start;
  }
  .columns.with-feed {
    grid-template-columns: minmax(0, 1fr) 20rem;
  }
  main,
  aside {
    min-width: 0;
    border: 1px solid var(--line);
    border-radius: 0.75rem;
    background: var(--surface);
  }
  main {
    overflow: clip;
  }
  list-toolbar {
    position: sticky;
    top: 0;
    z-index: 2;
    border-start-start-radius: 0.75rem;
    border-start-end-radius: 0.75rem;
    overflow: clip;
  }
  aside {
    position: sticky;
    top: 1rem;
    max-height: calc(100dvh - 2rem);
    overflow: auto;
  }

  @media (width < 70rem) {
    .columns.with-feed {
      grid-template-columns: minmax(0, 1fr);
    }
    aside {
      position: static;
      grid-row: 1;
      max-height: 40dvh;
    }
  }
  @media (width < 40rem) {
    header {
      gap: 0.4rem;
      padding: 0.6rem 0.5rem;
    }
    header .primary {
      padding-inline: 0.5rem;
    }
    .wide,
    .space {
      display: none;
    }
    connection-state {
      margin-inline-end: auto;
    }
    .columns {
      gap: 0.75rem;
      padding: 0 0.5rem 5rem;
    }
    list-toolbar {
      position: static;
    }
  }
`;
