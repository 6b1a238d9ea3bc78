import { defineConfig } from 'vitest/config';

// Tests run the builds of the libraries that the service itself runs, not their development builds.
process.env.NODE_ENV = 'production';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
