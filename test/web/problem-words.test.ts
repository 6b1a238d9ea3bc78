/** What the service refuses is said in the words of the form, with the service's own limits. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { problemWords } from '../../src/web/console/problem-words.js';
import { problemIn, TestService } from '../support/service.js';

describe('a refusal', () => {
  it('names the limits that the service was given', async () => {
    const service = await TestService.start({ settings: { MAX_EXTENSION_SECONDS: '1800' } });
    const { id } = await service.create();
    const long = await service.control(id, 'extend', 1801);
    expect(problemWords(problemIn(long))).toBe('The time to add can be at most 30 min.');
    const wrong = { duration_seconds: 86_401, name: '' };
    const answer = await service.request('POST', '/timers', wrong);
    const { maxDurationSeconds } = readConfig({});
    expect(maxDurationSeconds).toBe(86_400);
    expect(problemWords(problemIn(answer))).toBe(
      'The duration can be at most 24 h. The name must be at least 1 long.',
    );
  });

  it('is told as the service says it where it is not about a field', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const problem = problemIn(await service.control(id, 'pause'));
    expect(problemWords(problem)).toBe(problem.detail);
  });
});
