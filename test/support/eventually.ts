/** Waits for what comes by itself from another process or machine, as long as a busy machine may take. */
import { vi } from 'vitest';

interface Patience {
  readonly timeout?: number;
  readonly interval?: number;
}

/** Settles when a check no longer throws, with what it gives; times are in ms. */
export function eventually<T>(
  check: () => T | Promise<T>,
  patience: Patience | number = {},
): Promise<T> {
  const given = typeof patience === 'number' ? { timeout: patience } : patience;
  return vi.waitFor(check, { timeout: 20_000, interval: 25, ...given });
}
