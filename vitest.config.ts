import { defineConfig } from 'vitest/config';

// Tests run the builds of the libraries that the service itself runs, not their development builds.
process.env.NODE_ENV = 'production';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/setup.ts'],
    // Files share what they load; loading it anew for each took as long as half of the tests.
    isolate: false,
    // Hundreds of services come and go in each process; with more room for what is young little is copied.
    execArgv: ['--max-semi-space-size=64'],
    // Many tests wait for processes, browsers and real time, and leave the processor to others meanwhile.
    // A machine of CI is shared and slow: fewer at a time leave those that run their real time.
    maxWorkers: process.env.CI === 'true' ? 2 : 4,
    testTimeout: 30_000,
    hookTimeout: 20_000,
    // What comes by itself may take long on a busy machine.
    expect: { poll: { timeout: 20_000, interval: 20 } },
  },
});
