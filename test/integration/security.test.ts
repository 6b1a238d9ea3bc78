/** What answers say to browsers about themselves. */
import { describe, expect, it } from 'vitest';
import { RawClient } from '../support/raw-client.js';
import { TestService } from '../support/service.js';

async function headersOf(service: TestService, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${service.service.url}${path}`, { headers });
  await response.text();
  return response.headers;
}

describe('every answer', () => {
  it.each(['/timers', '/timers/unknown', '/health', '/openapi.json', '/nothing', '/docs/', '/'])(
    '%s is taken for what it says it is, tells no other site of itself, and may not be framed',
    async (path) => {
      const service = await TestService.start();
      const headers = await headersOf(service, path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('x-powered-by')).toBeNull();
    },
  );

  it('has these headers also when its address cannot be read', async () => {
    const service = await TestService.start();
    const headers = { Connection: 'close', Upgrade: undefined };
    const client = await RawClient.open(service, 'http://[', { headers });
    expect(client.status).toBe(422);
    expect(client.header('Content-Security-Policy')).toContain("default-src 'none'");
    expect(client.header('X-Content-Type-Options')).toBe('nosniff');
  });

  it('of the documentation runs scripts of the service only', async () => {
    const service = await TestService.start();
    for (const path of ['/docs/', '/docs/swagger-ui-init.js']) {
      const policy = (await headersOf(service, path)).get('content-security-policy');
      expect(policy).toContain("script-src 'self'");
      expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    }
  });

  it('asks browsers to insist on TLS if it came over TLS, as a proxy says that is trusted', async () => {
    const secure = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '203.0.113.7' };
    const insists = async (settings: Record<string, string>, headers: Record<string, string>) => {
      const open = { ALLOW_OPEN: '1', ...settings };
      const service = await TestService.start({ settings: open });
      return (await headersOf(service, '/livez', headers)).has('strict-transport-security');
    };
    expect(await insists({ TRUST_PROXY: '1' }, secure)).toBe(true);
    expect(await insists({ TRUST_PROXY: '127.0.0.1' }, secure)).toBe(true);
    expect(await insists({ TRUST_PROXY: '1' }, { ...secure, 'X-Forwarded-Proto': 'http' })).toBe(
      false,
    );
    expect(await insists({ TRUST_PROXY: '1' }, {})).toBe(false);
    expect(await insists({ TRUST_PROXY: '10.0.0.0/8' }, secure)).toBe(false);
    expect(await insists({}, secure)).toBe(false);
  });
});
