/** The pages do all they do under the policies they are served with. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { needBrowser, openPage, openWindow } from '../support/browser.js';
import { LiveService } from '../support/live-service.js';
import { ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';

const LONGEST_MS = 60_000;

/** Keeps what the browser refuses to do. */
const WATCH = `
  globalThis.refusals = [];
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
    refusals.push([violatedDirective, blockedURI, sourceFile].join(' '));
  });
`;

describe('content policies', { timeout: LONGEST_MS }, () => {
  it('let every page do what it does, and nothing is reported', async (test) => {
    await needBrowser(test);
    const service = await ServiceProcess.start({ DATA_DIR: temporaryFolder() });
    const answer = await service.request('POST', '/timers', {
      duration_seconds: 600,
      auto_start: true,
    });
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(answer.text));
    const context = await openWindow(test);
    await context.addInitScript(WATCH);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    const refusals = async () => z.array(z.string()).parse(await page.evaluate('refusals'));

    await page.goto(`${service.url}/`);
    await page.locator('timer-row').waitFor();
    expect(await refusals()).toEqual([]);

    await page.goto(`${service.url}/display/${id}`);
    await page.getByText('Running').first().waitFor();
    expect(await refusals()).toEqual([]);

    await page.goto(`${service.url}/docs/`);
    const operation = page.locator('#operations-timers-createTimer');
    await operation.getByRole('button').first().click();
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    await operation.getByText('201').first().waitFor();
    expect(await refusals()).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('are strict: a script in the text of a page does not run', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const page = await openPage(test, service.url);
    for (const path of ['/', '/display/x', '/docs/', '/timers']) {
      // What the page itself would do with the script does not matter, and takes the documents seconds.
      await page.goto(`${service.url}${path}`, { waitUntil: 'commit' });
      await page.waitForFunction('document.body !== null');
      await page.evaluate(`(() => {
        const script = document.createElement('script');
        try {
          script.textContent = 'globalThis.didRun = true';
        } catch {
          return;
        }
        document.body.append(script);
      })()`);
      expect(await page.evaluate('globalThis.didRun ?? false')).toBe(false);
    }
  });
});
