/** Creates one timer, or as many as a class needs. */
import { css, html, nothing, type TemplateResult } from 'lit';
import { wordsOf } from './actions.js';
import type { Definition } from './api.js';
import { ConsoleDialog } from './console-dialog.js';
import { counted, durationText, numberedNames, parseThresholds } from './figures.js';
import { controls, dialogStyles } from './styles.js';

const DURATIONS_MINUTES = [5, 10, 15, 30, 45, 60, 90];
const WARNINGS_SECONDS = [900, 600, 300, 60, 30, 10];
const USUAL_WARNINGS = [300, 60, 30];
const MOST_AT_ONCE = 1000;
const OTHER = 'other';

export class CreateDialog extends ConsoleDialog {
  static override properties = {
    onCreate: { attribute: false },
    name: { state: true },
    count: { state: true },
    duration: { state: true },
    problem: { state: true },
    isBusy: { state: true },
  };
  static override styles = [
    controls,
    dialogStyles,
    css`
      .who {
        display: grid;
        grid-template-columns: 1fr 7rem;
        gap: 0.75rem;
      }
      .who input {
        width: 100%;
      }
      .custom {
        margin-top: 0.6rem;
      }
      .names {
        margin-top: 0.4rem;
      }
    `,
  ];

  declare onCreate: (definition: Definition, count: number) => Promise<void>;
  declare name: string;
  declare count: number;
  /** Seconds of a preset, or that there is another one. */
  declare duration: string;
  declare problem: string | undefined;
  declare isBusy: boolean;

  constructor() {
    super();
    this.name = 'Exam';
    this.count = 1;
    this.duration = '1800';
    this.isBusy = false;
  }

  protected override heading(): string {
    return 'Create timers';
  }

  protected override content(): TemplateResult {
    const verb = this.count > 1 ? `Create ${counted(this.count, 'timer')}` : 'Create timer';
    return html`
      <form @submit=${this.#submit} @input=${this.#input} novalidate>
        ${this.#who()} ${this.#durations()} ${warnings()}
        <label class="row">
          <input type="checkbox" name="start" />
          Start at once
        </label>
        <p role="alert" class=${this.problem === undefined ? 'blank' : 'problem'}>
          ${this.problem ?? nothing}
        </p>
        <div class="buttons">
          <button type="button" @click=${this.close}>Cancel</button>
          <button class="primary" type="submit" ?disabled=${this.isBusy}>
            ${this.isBusy ? 'Creating…' : verb}
          </button>
        </div>
      </form>
    `;
  }

  #who(): TemplateResult {
    const names = numberedNames(this.name.trim(), Math.max(1, this.count));
    return html`
      <div>
        <div class="who">
          <label><span class="label">Name</span>
            <input name="name" maxlength="190" autocomplete="off" autofocus .value=${this.name}
              aria-describedby="names" />
          </label>
          <label><span class="label">How many</span>
            <input name="count" type="number" min="1" max=${MOST_AT_ONCE} value="1"
              aria-describedby="names" />
          </label>
        </div>
        <p class="hint names" id="names">
          ${
            names.length > 1
              ? `Their names are numbered: ${names[0]} to ${names.at(-1)}.`
              : 'For a class, say how many; their names are numbered.'
          }
        </p>
      </div>
    `;
  }

  #durations(): TemplateResult {
    const isOther = this.duration === OTHER;
    return html`
      <fieldset>
        <legend>Duration</legend>
        <div class="row">
          ${DURATIONS_MINUTES.map((minutes) => this.#duration(`${minutes * 60}`, `${minutes} min`))}
          ${this.#duration(OTHER, 'Other')}
        </div>
        <div class="row custom" ?hidden=${!isOther}>
          <label>Minutes <input class="short" name="minutes" type="number" min="0" value="20" /></label>
          <label>Seconds
            <input class="short" name="seconds" type="number" min="0" max="59" value="0" />
          </label>
        </div>
      </fieldset>
    `;
  }

  #duration(value: string, words: string): TemplateResult {
    return html`
      <label class="chip">
        <input type="radio" name="duration" value=${value} ?checked=${value === this.duration} />${words}
      </label>
    `;
  }

  /** What other parts of the form depend on. */
  #input(event: Event): void {
    const { target } = event;
    if (!(target instanceof HTMLInputElement)) return;
    if (target.name === 'name') this.name = target.value;
    if (target.name === 'count') this.count = wholeNumber(target.value) ?? 1;
    if (target.name === 'duration') this.duration = target.value;
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (this.isBusy || !(event.target instanceof HTMLFormElement)) return;
    const wanted = understand(new FormData(event.target));
    if (typeof wanted === 'string') {
      this.problem = wanted;
      return;
    }
    this.problem = undefined;
    this.isBusy = true;
    try {
      await this.onCreate(wanted.definition, wanted.count);
      this.close();
    } catch (error) {
      this.problem = wordsOf(error);
    } finally {
      this.isBusy = false;
    }
  }
}

function warnings(): TemplateResult {
  return html`
    <fieldset>
      <legend>Warn when this is left</legend>
      <div class="row">
        ${WARNINGS_SECONDS.map(
          (seconds) => html`
            <label class="chip">
              <input type="checkbox" name="warning" value=${seconds}
                ?checked=${USUAL_WARNINGS.includes(seconds)} />${durationText(seconds)}
            </label>
          `,
        )}
      </div>
      <div class="custom row">
        <label>Others
          <input name="warnings" placeholder="2:30, 0:45" autocomplete="off" aria-describedby="how" />
        </label>
        <span class="hint" id="how">minutes:seconds, separated by commas</span>
      </div>
    </fieldset>
  `;
}

/** What the form says, or what is wrong with it. */
function understand(data: FormData): { definition: Definition; count: number } | string {
  const name = textOf(data, 'name').trim();
  const count = wholeNumber(textOf(data, 'count'));
  const durationSeconds = durationOf(data);
  const others = parseThresholds(textOf(data, 'warnings'));
  if (name === '') return 'Give the timers a name.';
  if (count === undefined || count < 1 || count > MOST_AT_ONCE) {
    return `Say how many timers to create, 1 to ${MOST_AT_ONCE.toLocaleString('en')}.`;
  }
  if (durationSeconds === undefined) return 'Say how long the timers run, in minutes and seconds.';
  if (others.unclear.length > 0) {
    return `This is no time to warn at: ${others.unclear.join(', ')}. Write it like 2:30.`;
  }
  const chosen = data.getAll('warning').map(Number);
  const thresholds = new Set([...chosen, ...others.seconds]);
  // Longer ones would never be passed.
  const warningThresholds = [...thresholds]
    .filter((seconds) => seconds < durationSeconds)
    .sort((a, b) => b - a);
  const autoStart = data.has('start');
  return { definition: { name, durationSeconds, warningThresholds, autoStart }, count };
}

function durationOf(data: FormData): number | undefined {
  const preset = textOf(data, 'duration');
  if (preset !== OTHER) return wholeNumber(preset);
  const minutes = wholeNumber(textOf(data, 'minutes') || '0');
  const seconds = wholeNumber(textOf(data, 'seconds') || '0');
  if (minutes === undefined || seconds === undefined) return undefined;
  return minutes * 60 + seconds || undefined;
}

function textOf(data: FormData, name: string): string {
  const value = data.get(name);
  return typeof value === 'string' ? value : '';
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

customElements.define('create-dialog', CreateDialog);
