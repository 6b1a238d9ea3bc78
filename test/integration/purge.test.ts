import { describe, expect, it } from 'vitest';
import { START_MS } from '../support/entries.js';
import { TestService } from '../support/service.js';

const HOUR_MS = 60 * 60 * 1000;

describe('documents that have expired', () => {
  it('are taken away within an hour, and nothing else is', async () => {
    const service = await TestService.start();
    const { documents } = service.journal;
    const nowMs = service.clock.now();
    expect(nowMs).toBe(START_MS);
    await documents.put('answers', { name: 'old', text: '1' }, nowMs + 10);
    await documents.put('answers', { name: 'new', text: '2' }, nowMs + 2 * HOUR_MS);
    await documents.put('answers', { name: 'lasting', text: '3' }, null);
    await service.advance(HOUR_MS);
    const names = async () => (await documents.list('answers')).map(({ name }) => name);
    expect(await names()).toEqual(['lasting', 'new']);
    await service.advance(HOUR_MS);
    expect(await names()).toEqual(['lasting']);
  });
});
