/** What the address of a display page says, and that it does not go on saying the token. */
import { describe, expect, it } from 'vitest';
import { displayUrl } from '../../src/web/console/api.js';
import { readLink } from '../../src/web/display/link.js';

const PAGE = 'http://host/display/timer_1';

describe('A7: the address of a display', () => {
  it('is read as the console writes it', () => {
    const token = 'eyJ.a-b_c.d+e&f';
    const link = readLink(displayUrl('http://host', 'timer_1', { label: 'Seat 14 & 15', token }));
    expect(link).toEqual({
      timerId: 'timer_1',
      label: 'Seat 14 & 15',
      theme: undefined,
      token,
      hrefWithoutToken: `${PAGE}?label=Seat+14+%26+15`,
    });
  });

  it.each([
    [`${PAGE}?access_token=secret&theme=dark`, 'secret', `${PAGE}?theme=dark`],
    [`${PAGE}?access_token=old#access_token=secret`, 'secret', PAGE],
    [`${PAGE}#access_token=`, undefined, PAGE],
    [`${PAGE}#top`, undefined, `${PAGE}#top`],
  ])('%s has its token taken out', (href, token, hrefWithoutToken) => {
    expect(readLink(href)).toMatchObject({ token, hrefWithoutToken });
  });

  it('takes no theme that there is not, and no label without end', () => {
    const { theme, label } = readLink(`${PAGE}?theme=pink&label=${'x'.repeat(200)}`);
    expect([theme, label?.length]).toEqual([undefined, 100]);
  });
});
