/** The pages for people are served with what keeps them safe, and with the right memory. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemIn, TestService } from '../support/service.js';

const FILES = {
  'console/index.html': '<title>Console</title>',
  'display/index.html': '<title>Display</title>',
  'assets/console-a1b2.js': 'export {};',
  'synchronized-timer.js': 'customElements;',
};

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pages-'));
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** Fetches as a browser does, without taking the body for JSON. */
async function get(service: TestService, path: string, init: RequestInit = {}) {
  const response = await fetch(`${service.service.url}${path}`, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('pages', () => {
  it.each([
    ['/', 'Console'],
    ['/display/timer_0mjx3k2p9a1b2c3d4e5f6', 'Display'],
  ])('%s is there, allows no code but its own, and is asked for anew', async (path, title) => {
    const service = await TestService.start({ webDirectory: folder });
    const { status, headers, text } = await get(service, path);
    expect([status, text]).toEqual([200, `<title>${title}</title>`]);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-cache');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toContain('unsafe');
    const etag = headers.get('etag') ?? '';
    // As browsers ask: fetch of Node would forbid an answer from memory.
    const again = { 'If-None-Match': etag, 'Cache-Control': 'max-age=0' };
    expect((await get(service, path, { headers: again })).status).toBe(304);
  });

  it('lets other sites frame a display, but not what controls timers', async () => {
    const service = await TestService.start({ webDirectory: folder });
    const policyOf = async (path: string) =>
      (await get(service, path)).headers.get('content-security-policy');
    expect(await policyOf('/')).toContain("frame-ancestors 'none'");
    expect(await policyOf('/display/x')).not.toContain('frame-ancestors');
  });

  it('are refused in words where they have not been built', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'pages-'));
    for (const options of [{}, { webDirectory: join(empty, 'absent') }, { webDirectory: empty }]) {
      const service = await TestService.start(options);
      for (const path of ['/', '/display/x', '/synchronized-timer.js']) {
        const answer = await service.request('GET', path);
        expect(problemIn(answer)).toMatchObject({
          code: 'unknown_route',
          detail: expect.stringContaining('npm run build'),
        });
        expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
      }
    }
    await rm(empty, { recursive: true });
  });

  it('are only read', async () => {
    const service = await TestService.start({ webDirectory: folder });
    const answer = await service.request('POST', '/');
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
    expect(problemIn(answer)).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(await get(service, '/', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });
});

describe('what pages load', () => {
  it('is kept for ever where its name changes with it', async () => {
    const service = await TestService.start({ webDirectory: folder });
    const { headers, text } = await get(service, '/assets/console-a1b2.js');
    expect(text).toBe('export {};');
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each(['/assets/', '/assets/nothing.js', '/assets/..%2fconsole%2findex.html', '/console/'])(
    'is nothing at %s',
    async (path) => {
      const service = await TestService.start({ webDirectory: folder });
      const answer = await service.request('GET', path);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect(problemIn(answer).detail).not.toBe('');
      expect(answer.headers.get('cache-control')).toBeNull();
    },
  );

  it('is the component for every site, whichever sites may use the service', async () => {
    const service = await TestService.start({
      webDirectory: folder,
      settings: { CORS_ORIGINS: 'https://school.example' },
    });
    const headers = { Origin: 'https://other.example' };
    const component = await get(service, '/synchronized-timer.js', { headers });
    expect(component.text).toBe('customElements;');
    expect(component.headers.get('access-control-allow-origin')).toBe('*');
    expect(component.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    expect(component.headers.get('cache-control')).toBe('public, max-age=300');
    expect(component.headers.get('etag')).not.toBeNull();
    const page = await get(service, '/', { headers });
    expect(page.headers.get('access-control-allow-origin')).not.toBe('*');
  });
});
