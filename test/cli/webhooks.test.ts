/** `webhooks`, against the real service and a real receiver. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  attemptsSchema,
  webhooksSchema,
  webhookWithSecretSchema,
} from '../../src/protocol/webhooks.js';
import { type Run, startCommand } from '../support/command.js';
import { eventually } from '../support/eventually.js';
import { Receiver, verify } from '../support/receiver.js';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';

let service: TestService;
let receiver: Receiver;
beforeEach(async () => {
  service = await TestService.start({ clock: new SimulatedClock(Date.now()) });
  receiver = await Receiver.open();
});

function run(...args: string[]): Promise<Run> {
  return startCommand(['webhooks', ...args], { SYNCHRONIZED_TIMER_SERVER: service.service.url })
    .ended;
}

/** Runs a command that must succeed, and gives what it wrote. */
async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

async function create(...args: string[]): Promise<{ id: string; secret: string }> {
  const [id = '', secret = ''] = (await output('create', receiver.url, ...args)).trim().split(' ');
  return { id, secret };
}

describe('webhooks', () => {
  it('creates one for the events and timers it is told, and writes its secret', async () => {
    const timer = await service.create();
    const args = ['--events', 'timer.started,timer.expired', '--timers', timer.id];
    const { id, secret } = await create(...args);
    const listed = webhooksSchema.parse(JSON.parse(await output('list', '--json')));
    expect(listed).toMatchObject([
      { id, events: ['timer.started', 'timer.expired'], timers: [timer.id], disabled: null },
    ]);
    await service.act(timer.id, 'start');
    await receiver.until(1);
    const [delivery] = receiver.deliveries;
    if (delivery === undefined) throw new Error('Nothing came');
    expect(verify(secret, delivery)).toMatchObject({ type: 'timer.started' });
    const table = await output('list');
    expect(table).toMatch(/^ID +URL +EVENTS +STATE\n/);
    expect(table).toContain('timer.started,timer.expired of 1 timers  enabled\n');
  });

  it('shows what was sent, sends it again, and says when that failed', async () => {
    const { id } = await create();
    receiver.answer = () => 500;
    await service.create();
    await receiver.until(1);
    const message = receiver.deliveries[0]?.id ?? '';
    const failed = await run('redeliver', id, message);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toBe(`${message}: failed: Answered 500\n`);
    receiver.answer = () => 204;
    expect(await output('redeliver', id, message)).toBe(`${message}: delivered\n`);
    const json = JSON.parse(await output('deliveries', id, '--json'));
    const successes = attemptsSchema.parse(json).map(({ success }) => success);
    expect(successes.slice(-2)).toEqual([false, false]);
    // What waits is sent at once when the receiver takes something again, and may be there too.
    expect(new Set(successes.slice(0, -2))).toEqual(new Set([true]));
    const latest = JSON.parse(await output('deliveries', id, '--limit', '1', '--json'));
    expect(attemptsSchema.parse(latest)).toMatchObject([{ success: true }]);
    const table = await output('deliveries', id);
    expect(table).toMatch(/^AT +MESSAGE +EVENT +TIMER +ATTEMPT +TOOK +RESULT\n/);
    expect(table).toContain('failed: Answered 500\n');
  });

  it('enables, rotates and deletes', async () => {
    const { id, secret } = await create();
    receiver.answer = () => 410;
    await service.create();
    await receiver.until(1);
    await eventually(async () => {
      const { body } = await service.request('GET', '/webhooks');
      expect(body).toMatchObject([{ disabled: { why: 'The receiver answered 410: it is gone' } }]);
    });
    receiver.answer = () => 204;
    expect(await output('enable', id)).toBe(`${id}: enabled\n`);
    await receiver.until(2);
    const rotated = webhookWithSecretSchema.parse(JSON.parse(await output('rotate', id, '--json')));
    expect(rotated.secret).not.toBe(secret);
    expect(await output('delete', id)).toBe(`${id}: deleted\n`);
    expect((await service.request('GET', '/webhooks')).body).toEqual([]);
  });

  it('refuses what it does not understand, and tells what the service refuses', async () => {
    expect((await run('create', receiver.url, '--events', 'timer.exploded')).code).toBe(2);
    expect((await run('delete', '../timers')).code).toBe(2);
    const unknown = await run('delete', 'webhook_unknown');
    expect(unknown).toMatchObject({ code: 1, stderr: 'Webhook not found: webhook_unknown\n' });
    const wrong = await run('create', 'ftp://quiz.example/');
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('must begin with https://');
  });
});
