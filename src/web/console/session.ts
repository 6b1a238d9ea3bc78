/** The credential that this page shows the service. Touches nothing but the memory it is given. */

const MEMORY = 'timer-console.credential';

/** What the browser remembers, for one window or for all of the device. */
export interface Memory {
  recall(key: string, reach: 'device' | 'window'): string | undefined;
  remember(key: string, value: string, reach: 'device' | 'window'): void;
  forget(key: string): void;
}

export class Session {
  /** Called when the service does not take the credential, or wants one where there is none. */
  onRefused: () => void = () => {};
  readonly #memory: Memory;
  #credential: string | undefined;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#credential = memory.recall(MEMORY, 'window') ?? memory.recall(MEMORY, 'device');
  }

  get credential(): string | undefined {
    return this.#credential;
  }

  /** Keeps a credential for this window, or for this device until somebody signs out. */
  keep(credential: string, isForDevice: boolean): void {
    this.forget();
    this.#credential = credential;
    this.#memory.remember(MEMORY, credential, isForDevice ? 'device' : 'window');
  }

  forget(): void {
    this.#credential = undefined;
    this.#memory.forget(MEMORY);
  }

  /** What was refused may have been replaced while the answer was on its way. */
  refuse(credential: string | undefined): void {
    if (credential === this.#credential) this.onRefused();
  }
}
