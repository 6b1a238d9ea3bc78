/** Bundles the web component into one file for a script tag. The build prints its size. */
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false,
  build: {
    outDir: 'dist/web',
    emptyOutDir: false,
    target: 'es2022',
    // Not as a library, whose whitespace would be kept for the bundlers of others.
    rolldownOptions: {
      input: 'src/web/component/synchronized-timer.ts',
      output: { entryFileNames: 'synchronized-timer.js', codeSplitting: false },
    },
  },
});
