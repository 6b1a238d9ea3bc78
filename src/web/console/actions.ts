/** What a person can do: each action calls the service and tells the store how it went, in words. */
import type { Timer } from '../../client/messages.js';
import { type Action, type Api, ApiError, type ChangeDetails, type Definition } from './api.js';
import { counted, durationText, numberedNames } from './figures.js';
import { type Reason, reasonText } from './reason.js';
import type { ConsoleStore } from './store.js';

/** Browsers keep few connections to one server, and the stream needs one of them. */
const CONCURRENT_CALLS = 4;

const DONE: Record<Exclude<Action, 'extend'>, string> = {
  start: 'started',
  pause: 'paused',
  resume: 'resumed',
  stop: 'stopped',
};

/** What takes time from somebody or gives it is asked about afterwards. */
const WITH_REASON: readonly Action[] = ['pause', 'extend', 'stop'];

const STATE_WORDS: Record<string, string> = {
  created: 'it has not been started',
  running: 'it is running',
  paused: 'it is paused',
  expired: 'its time is up',
  completed: 'it was stopped',
};

interface Outcome {
  /** What could not be done, by the timer's id. */
  readonly problems: ReadonlyMap<string, string>;
  /** Why nothing was done at all. */
  readonly failure?: string;
  /** What came between when some were done and others were not even asked for. */
  readonly interruption?: Interruption;
}

interface Interruption {
  readonly reason: string;
  /** Timers that may have been done, because no answer came. */
  readonly perhaps: number;
}

export class Actions {
  readonly #store: ConsoleStore;
  readonly #api: Api;

  constructor(store: ConsoleStore, api: Api) {
    this.#store = store;
    this.#api = api;
  }

  /**
   * Does the same to one timer or to many; many get one common instant. Gives the words for why the
   * whole command failed, for whoever asked for it.
   */
  async control(
    timers: readonly Timer[],
    action: Action,
    seconds?: number,
  ): Promise<string | undefined> {
    const timerIds = timers.map(({ id }) => id);
    const [first] = timers;
    if (first === undefined) return undefined;
    this.#store.dispatch({ type: 'acting', timerIds });
    const reason = WITH_REASON.includes(action) ? this.#store.state.reason : undefined;
    const details = { seconds, reason };
    const { problems, failure, interruption } = await (timers.length === 1
      ? this.#controlOne(first, action, details)
      : this.#controlMany(timerIds, action, details));
    this.#store.dispatch({ type: 'acted', timerIds, problems });
    const verb = action === 'extend' ? `extended by ${durationText(seconds ?? 0)}` : DONE[action];
    const done = reason === undefined ? verb : `${verb} (${reasonText(reason)})`;
    if (interruption !== undefined) this.#tellInterruption(timers, verb, problems, interruption);
    else if (failure === undefined)
      this.#tellResult(
        timers,
        done + partsText(timers.length, this.#store.state.largestBulk),
        problems,
      );
    else this.#tell('failed', `Could not ${action} ${subjectOf(timers)}. ${failure}`);
    return failure;
  }

  /** Creates timers; those that are to start at once start together when all are there. */
  async create(definition: Definition, count: number): Promise<void> {
    const { name, autoStart } = definition;
    const names = numberedNames(name, count);
    const created: Timer[] = [];
    const isAlone = count === 1;
    const text = 'Creating timers';
    const tellProgress = (): void => this.#tellProgress(text, created.length, count);
    if (!isAlone) tellProgress();
    try {
      await forEach(names, async (numbered) => {
        const timer = await this.#api.create({
          ...definition,
          name: numbered,
          autoStart: autoStart && isAlone,
        });
        created.push(timer);
        this.#store.dispatch({ type: 'answered', timers: [timer] });
        if (!isAlone) tellProgress();
      });
    } catch (error) {
      const words =
        created.length === 0
          ? wordsOf(error)
          : `Only ${created.length} of ${counted(count, 'timer')} could be created. ${wordsOf(error)}`;
      // Whoever closed the form meanwhile hears of it too.
      this.#tell('failed', words);
      throw new ApiError(words);
    } finally {
      this.#store.dispatch({ type: 'progressed', progress: undefined });
    }
    if (autoStart && !isAlone) await this.control(created, 'start');
    else this.#tell('done', `${subjectOf(created)} created${autoStart ? ' and started' : ''}`);
  }

  async remove(timers: readonly Timer[]): Promise<void> {
    const timerIds = timers.map(({ id }) => id);
    const problems = new Map<string, string>();
    const isAlone = timers.length === 1;
    const { reason } = this.#store.state;
    let done = 0;
    this.#store.dispatch({ type: 'acting', timerIds });
    await forEach(timers, async ({ id }) => {
      const problem = await this.#removeOne(id, reason);
      if (problem !== undefined) problems.set(id, `Could not delete: ${problem}`);
      done += 1;
      if (!isAlone) this.#tellProgress('Deleting timers', done, timers.length);
    });
    this.#store.dispatch({ type: 'progressed', progress: undefined });
    this.#store.dispatch({ type: 'acted', timerIds, problems });
    // The stream has told of most of them already, many at a time.
    const gone = timerIds.filter((id) => !problems.has(id));
    this.#store.dispatch({ type: 'removed', timerIds: gone });
    const because = reason === undefined ? '' : ` (${reasonText(reason)})`;
    this.#tellResult(timers, `deleted${because}`, problems);
  }

  async #controlOne(timer: Timer, action: Action, details: ChangeDetails): Promise<Outcome> {
    try {
      const answered = await this.#api.control(timer.id, action, details);
      this.#store.dispatch({ type: 'answered', timers: [answered] });
      return { problems: new Map() };
    } catch (error) {
      if (!isRefusal(error)) return interrupted(new Map(), action, [timer.id], [], error);
      const failure = wordsOf(error);
      return { problems: new Map([[timer.id, `Could not ${action}. ${failure}`]]), failure };
    }
  }

  async #controlMany(
    timerIds: readonly string[],
    action: Action,
    details: ChangeDetails,
  ): Promise<Outcome> {
    const problems = new Map<string, string>();
    const { largestBulk } = this.#store.state;
    for (let from = 0; from < timerIds.length; from += largestBulk) {
      const part = timerIds.slice(from, from + largestBulk);
      try {
        for (const { timer_id, success, status } of await this.#api.bulk(part, action, details)) {
          if (!success) problems.set(timer_id, `Could not ${action}: ${reasonOf(status)}`);
        }
      } catch (error) {
        if (from === 0 && isRefusal(error)) return { problems, failure: wordsOf(error) };
        return interrupted(problems, action, part, timerIds.slice(from + part.length), error);
      }
    }
    return { problems };
  }

  /** Gives what went wrong; a timer that is gone already is what was wanted. */
  async #removeOne(timerId: string, reason: Reason | undefined): Promise<string | undefined> {
    try {
      await this.#api.remove(timerId, reason);
    } catch (error) {
      const isGone = error instanceof ApiError && error.status === 404;
      if (!isGone) return wordsOf(error);
    }
    return undefined;
  }

  #tellResult(timers: readonly Timer[], done: string, problems: ReadonlyMap<string, string>): void {
    if (problems.size === 0) {
      this.#tell('done', `${subjectOf(timers)} ${done}`);
      return;
    }
    const [problem = ''] = problems.values();
    const some = `${timers.length - problems.size} of ${counted(timers.length, 'timer')} ${done}`;
    this.#tell(
      'failed',
      timers.length === 1 ? `${subjectOf(timers)}: ${problem}` : `${some}. ${problem}`,
    );
  }

  /** Whoever does it again is to know for how many it was done already. */
  #tellInterruption(
    timers: readonly Timer[],
    done: string,
    problems: ReadonlyMap<string, string>,
    { reason, perhaps }: Interruption,
  ): void {
    const problemCount = problems.size;
    if (perhaps === timers.length) {
      this.#tell(
        'failed',
        `It is not known whether ${subjectOf(timers)} ${wereOrWas(perhaps)} ${done}. ${reason}`,
      );
      return;
    }
    const some = `${timers.length - problemCount} of ${counted(timers.length, 'timer')} ${done}`;
    const maybe = perhaps === 0 ? '' : `, ${perhaps} perhaps`;
    this.#tell('failed', `${some}${maybe}, ${problemCount - perhaps} not. ${reason}`);
  }

  #tellProgress(text: string, done: number, total: number): void {
    this.#store.dispatch({ type: 'progressed', progress: { text, done, total } });
  }

  #tell(kind: 'done' | 'failed', text: string): void {
    this.#store.dispatch({ type: 'noticed', notice: { kind, text } });
  }
}

/** The outcome when a part of a command failed after others were done, and the rest was not asked for. */
function interrupted(
  problems: ReadonlyMap<string, string>,
  action: Action,
  part: readonly string[],
  rest: readonly string[],
  error: unknown,
): Outcome {
  const reason = wordsOf(error);
  const isRefused = isRefusal(error);
  const doubt = `It is not known whether the service could ${action} it. ${reason}`;
  const refusal = `Could not ${action}. ${reason}`;
  const told = new Map(problems);
  for (const id of part) told.set(id, isRefused ? refusal : doubt);
  for (const id of rest) told.set(id, refusal);
  return {
    problems: told,
    interruption: { reason, perhaps: isRefused ? 0 : part.length },
  };
}

/** Whether nothing was done for certain. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.isRefusal;
}

function wereOrWas(count: number): string {
  return count === 1 ? 'was' : 'were';
}

/** What went wrong, in words. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** More timers than one command takes cannot have one common instant; empty for fewer. */
export function partsText(count: number, largestBulk: number): string {
  const parts = Math.ceil(count / largestBulk);
  return parts <= 1 ? '' : ` in ${parts} parts, each at an instant of its own`;
}

/** A timer by its name, several by their number. */
export function subjectOf(timers: readonly Timer[]): string {
  const [first] = timers;
  return timers.length === 1 && first !== undefined ? first.name : counted(timers.length, 'timer');
}

/** The words of a bulk answer are for programs, such as `failed (state: expired)`. */
function reasonOf(status: string): string {
  const [, state] = /^failed \(state: (\w+)\)$/.exec(status) ?? [];
  if (state !== undefined) return STATE_WORDS[state] ?? `its state is ${state}`;
  if (status === 'failed (forbidden)') return 'your key or token is not for it';
  return status === 'not found' ? 'it is not there any more' : status;
}

/** Calls for every item, a few at a time. After a failure no call is begun, and the failure is thrown. */
async function forEach<T>(items: readonly T[], call: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const failures: unknown[] = [];
  async function work(): Promise<void> {
    for (const item of queue) {
      if (failures.length > 0) return;
      await call(item).catch((error: unknown) => failures.push(error));
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT_CALLS }, work));
  if (failures.length > 0) throw failures[0];
}
