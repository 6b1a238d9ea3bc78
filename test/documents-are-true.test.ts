/** The documents say what the code does. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../src/config.js';
import { SERVER_MESSAGES } from '../src/protocol/messages.js';
import { PROBLEMS } from '../src/protocol/problems.js';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const readme = read('README.md');
const spec = read('docs/SPEC.md');

describe('README', () => {
  it('lists every setting with its default and its description', () => {
    const rows = Object.entries(SETTINGS).map(
      ([name, setting]) => `| \`${name}\` | \`${setting.default}\` | ${setting.description} |`,
    );
    expect(readme).toContain(rows.join('\n'));
  });

  it('lists every message a display is told unasked', () => {
    const answers = ['pong', 'sync_response', 'error'];
    const told = Object.keys(SERVER_MESSAGES).filter((type) => !answers.includes(type));
    for (const type of told) expect(readme).toContain(`| \`${type}\` |`);
    for (const type of answers) expect(`${readme}${spec}`).toContain(`\`${type}\``);
  });
});

describe('docs/SPEC.md', () => {
  it('lists every problem with its status and its close code', () => {
    const rows = Object.entries(PROBLEMS).map(([code, kind]) => {
      const status = 'status' in kind ? kind.status : '';
      const closeCode = 'closeCode' in kind ? kind.closeCode : '';
      return `| \`${code}\` | ${status} | ${closeCode} | ${kind.title} |`;
    });
    expect(spec).toContain(rows.join('\n'));
  });

  it('has rules that are all proved by tests that name them', () => {
    const rules = [...spec.matchAll(/^\| ([A-Z]\d+) \|/gm)].map(([, id]) => id ?? '');
    expect(rules.length).toBeGreaterThan(20);
    const folder = new URL('.', import.meta.url);
    const tests = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => readFileSync(new URL(path, folder), 'utf8'))
      .join('\n');
    for (const rule of rules) expect(tests).toMatch(new RegExp(`['\`]([A-Z]\\d+, )*${rule}[,:]`));
  });
});

describe.each(['docs/ARCHITECTURE.md', 'docs/ways.md'])('%s', (document) => {
  it('names only files that exist', () => {
    const text = read(document);
    const paths = [...text.matchAll(/`((?:src|machines)\/[\w./-]+\.ts)`/g)].map(
      ([, path]) => path ?? '',
    );
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) expect(() => read(path)).not.toThrow();
  });
});

describe('SECURITY.md', () => {
  it('names the versions of packages that are installed', () => {
    const rows = [...read('SECURITY.md').matchAll(/^\| `([^`]+)` \|.* \| ([\d.]+) \|$/gm)];
    expect(rows.length).toBeGreaterThan(3);
    for (const [, name, version] of rows) {
      expect(JSON.parse(read(`node_modules/${name}/package.json`))).toMatchObject({ version });
    }
  });
});
