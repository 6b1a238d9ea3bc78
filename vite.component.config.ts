/** Bundles the web component into one file for a script tag. The build prints its size. */
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false,
  build: {
    outDir: 'dist/web',
    emptyOutDir: false,
    target: 'es2022',
    lib: {
      entry: 'src/web/component/synchronized-timer.ts',
      formats: ['es'],
      fileName: () => 'synchronized-timer.js',
    },
  },
});
