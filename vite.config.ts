/**
 * Bundles the pages for people: the console and the display. The addresses in them begin with `/`,
 * because a display's page is served at `/display/{timer_id}`.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: path('src/web'),
  base: '/',
  publicDir: false,
  build: {
    outDir: path('dist/web'),
    emptyOutDir: true,
    target: 'es2022',
    // Old enough for light-dark(), so that it is not replaced by something larger.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The helper for old browsers; the ones the pages are for preload modules by themselves.
    modulePreload: { polyfill: false },
    // A data URL in a style would need a hole in the pages' content policy.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: {
        console: path('src/web/console/index.html'),
        display: path('src/web/display/index.html'),
      },
    },
  },
});
