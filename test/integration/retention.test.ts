/** Which finished timers leave memory and when, if the disk refused their ends as they came. */
import { describe, expect, it } from 'vitest';
import { DisturbedJournal } from '../support/disturbed-journal.js';
import { TestService } from '../support/service.js';

const SECOND = 1000;

/** A service with a timer that ended after 10 s, which was recorded after another was stopped after 50 s. */
async function afterOutage(settings: Readonly<Record<string, string>>) {
  const journal = new DisturbedJournal();
  const service = await TestService.start({ journal, settings });
  const other = await service.create({ auto_start: true });
  const late = await service.create({ duration_seconds: 10, auto_start: true });
  journal.refuses = ({ type }) => type === 'expired';
  await service.advance(50 * SECOND);
  await service.act(other.id, 'stop');
  journal.refuses = () => false;
  await service.advance(SECOND);
  expect(await service.get(late.id)).toMatchObject({
    state: 'expired',
    completed_at: new Date(late.server_time_ms + 10 * SECOND).toISOString(),
  });
  const statuses = async (): Promise<number[]> => {
    const answers = [late, other].map(({ id }) => service.request('GET', `/timers/${id}`));
    return (await Promise.all(answers)).map(({ status }) => status);
  };
  return { service, statuses };
}

describe('a timer whose end was recorded late', () => {
  it('T4: leaves memory when it would have without the outage', async () => {
    const { service, statuses } = await afterOutage({ RETAIN_FINISHED_SECONDS: '100' });
    await service.advance(59 * SECOND - 1);
    expect(await statuses()).toEqual([200, 200]);
    await service.advance(1);
    expect(await statuses()).toEqual([404, 200]);
    await service.advance(40 * SECOND - 1);
    expect(await statuses()).toEqual([404, 200]);
    await service.advance(1);
    expect(await statuses()).toEqual([404, 404]);
  });

  it('makes room for a new timer before those that ended after it', async () => {
    const { service, statuses } = await afterOutage({ MAX_TIMERS: '2' });
    await service.create();
    expect(await statuses()).toEqual([404, 200]);
  });
});
