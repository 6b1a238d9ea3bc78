/**
 * The sounds of a display, made by the browser itself so that there is no file to load. Browsers make
 * none before somebody has touched the page.
 */

interface Tone {
  readonly hertz: number;
  readonly atSeconds: number;
  readonly forSeconds: number;
}

const WARNING: readonly Tone[] = [
  { hertz: 660, atSeconds: 0, forSeconds: 0.25 },
  { hertz: 880, atSeconds: 0.3, forSeconds: 0.35 },
];
const END: readonly Tone[] = [0, 0.8, 1.6].flatMap((atSeconds) => [
  { hertz: 880, atSeconds, forSeconds: 0.3 },
  { hertz: 587, atSeconds: atSeconds + 0.3, forSeconds: 0.4 },
]);

const LOUDNESS = 0.4;
/** A tone that begins or ends at once clicks. */
const RAMP_SECONDS = 0.02;

export class Chime {
  #context: AudioContext | undefined;

  /** Whether a sound would be heard now. */
  get isAllowed(): boolean {
    return this.#context?.state === 'running';
  }

  /** To be called while somebody presses something. */
  async allow(): Promise<void> {
    this.#context ??= new AudioContext();
    await this.#context.resume();
  }

  playWarning(): void {
    this.#play(WARNING);
  }

  playEnd(): void {
    this.#play(END);
  }

  #play(tones: readonly Tone[]): void {
    const context = this.#context;
    if (context === undefined) return;
    for (const tone of tones) play(context, tone);
  }
}

function play(context: AudioContext, { hertz, atSeconds, forSeconds }: Tone): void {
  const begin = context.currentTime + atSeconds;
  const end = begin + forSeconds;
  const volume = context.createGain();
  volume.gain.setValueAtTime(0, begin);
  volume.gain.linearRampToValueAtTime(LOUDNESS, begin + RAMP_SECONDS);
  volume.gain.setValueAtTime(LOUDNESS, end - RAMP_SECONDS);
  volume.gain.linearRampToValueAtTime(0, end);
  const source = context.createOscillator();
  source.frequency.value = hertz;
  source.connect(volume).connect(context.destination);
  source.start(begin);
  source.stop(end);
}
