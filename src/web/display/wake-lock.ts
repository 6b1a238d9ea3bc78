/**
 * Keeps the screen awake while the page is seen. The browser takes the lock back whenever the page is
 * hidden, so it is asked for again. Where there is no such thing, or it is refused, the screen may sleep.
 */

async function request(): Promise<void> {
  if (document.visibilityState !== 'visible') return;
  try {
    await navigator.wakeLock.request('screen');
  } catch {
    // Not supported, no secure context, or little battery: the display works all the same.
  }
}

export function keepAwake(): void {
  document.addEventListener('visibilitychange', () => void request());
  void request();
}
