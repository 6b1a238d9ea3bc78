/**
 * The service with its pages as browsers meet it: on real sockets and in real time, but in the process of the
 * tests, where it starts at once. Tests that end it without warning use `process.ts`.
 */
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/clock.js';
import { readConfig } from '../../src/config.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { createLog } from '../../src/log.js';
import { type Service, startService } from '../../src/service.js';
import { endWithTest } from './endings.js';

const PAGES = fileURLToPath(new URL('../../dist/web', import.meta.url));

const running = new Set<Service>();
endWithTest('services', async () => {
  await Promise.all([...running].map((service) => service.stop()));
  running.clear();
});

export class LiveService {
  readonly url: string;
  /** The key or token that requests show from now on. */
  token: string | undefined;

  private constructor(url: string) {
    this.url = url;
  }

  /** Starts a service that is stopped after the test. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<LiveService> {
    const service = await startService({
      config: readConfig({ PORT: '0', ...settings }),
      clock: systemClock,
      journal: new MemoryJournal(),
      log: createLog('silent'),
      version: '0.0.0',
      webDirectory: PAGES,
      onFailure: () => {},
    });
    running.add(service);
    await service.ready;
    return new LiveService(service.url);
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        'Content-Type': 'application/json',
        ...(this.token !== undefined && { Authorization: `Bearer ${this.token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }
}
