/** What a page remembers. Browsers that allow no memory simply forget. */

/** For all windows of this device until it is forgotten, or for one window until that is closed. */
export type Reach = 'device' | 'window';

export function recall(key: string, reach: Reach = 'device'): string | undefined {
  try {
    return storageOf(reach).getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function remember(key: string, value: string, reach: Reach = 'device'): void {
  try {
    storageOf(reach).setItem(key, value);
  } catch {
    // It is asked for again next time.
  }
}

export function forget(key: string): void {
  for (const reach of ['device', 'window'] as const) {
    try {
      storageOf(reach).removeItem(key);
    } catch {
      // Where nothing can be remembered there is nothing to forget.
    }
  }
}

function storageOf(reach: Reach): Storage {
  return reach === 'device' ? localStorage : sessionStorage;
}
