import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { ServiceProcess } from '../support/process.js';

const RELAY = 'ws://localhost:8080';
const relayed = z.looseObject({
  type: z.string(),
  id: z.string().nullish(),
  name: z.string().nullish(),
});

/** Whether the relay's port is free; it is fixed, and a machine may use it for something else. */
async function isPortFree(): Promise<boolean> {
  const probe = createServer().listen(8080);
  const isFree = await once(probe, 'listening').then(
    () => true,
    () => false,
  );
  probe.close();
  return isFree;
}

const isFree = await isPortFree();

describe.skipIf(!isFree && process.env.CI !== 'true')('INSPECT (needs port 8080)', () => {
  it('streams the actors, timers among them, to whoever opens the relay', async () => {
    const service = await ServiceProcess.start({ JOURNAL: 'memory', INSPECT: '1' });
    const watcher = new WebSocket(RELAY);
    const names = new Set<string>();
    const sawTimer = new Promise<void>((resolve) => {
      watcher.on('message', (data) => {
        const { type, name } = relayed.parse(JSON.parse(String(data)));
        if (type === '@xstate.actor' && typeof name === 'string') names.add(name);
        if ([...names].some((seen) => seen.startsWith('timer_'))) resolve();
      });
    });
    await once(watcher, 'open');
    await service.request('POST', '/timers', { duration_seconds: 60, auto_start: true });
    await sawTimer;
    expect(names).toContain('journal');
    watcher.close();
    expect(await service.terminate()).toBe(0);

    const taken = createServer().listen(8080);
    await once(taken, 'listening');
    const refused = ServiceProcess.launch({ JOURNAL: 'memory', INSPECT: '1' });
    expect(await refused.exited).toMatchObject({ code: 1 });
    expect(refused.stderr).toBe('INSPECT is "1"; it takes port 8080, which another process uses\n');
    taken.close();
  });

  it('is off by default', async () => {
    await ServiceProcess.start({ JOURNAL: 'memory' });
    const [error] = await once(
      new WebSocket(RELAY).on('open', () => {}),
      'error',
    );
    expect(String(error)).toContain('ECONNREFUSED');
  });
});
