/** The keys of the console: one table for the handler and for the help. */
import { recall, remember } from '../memory.js';

export const SHORTCUTS = [
  { keys: ['n'], command: 'create', words: 'Create timers' },
  { keys: ['/'], command: 'search', words: 'Search' },
  { keys: ['a'], command: 'select-all', words: 'Select all that are shown' },
  { keys: ['Escape'], command: 'select-none', words: 'Select none' },
  { keys: ['s'], command: 'start', words: 'Start the selected timers' },
  { keys: ['p'], command: 'pause', words: 'Pause them' },
  { keys: ['r'], command: 'resume', words: 'Resume them' },
  { keys: ['e'], command: 'extend', words: 'Extend them' },
  { keys: ['x'], command: 'stop', words: 'Stop them' },
  { keys: ['Delete', 'Backspace'], command: 'delete', words: 'Delete them' },
  { keys: ['f'], command: 'feed', words: 'Show or hide what happened' },
  { keys: ['?'], command: 'help', words: 'Show this help' },
] as const;

/** Keys that the list itself handles, for the help. */
export const LIST_KEYS = [
  { keys: ['↑', '↓'], words: 'In the list: go to the timer before or after' },
  { keys: ['Shift+↑', 'Shift+↓'], words: 'In the list: go there and select' },
] as const;

export type Shortcut = (typeof SHORTCUTS)[number]['command'];

/** Keys that change nothing, for those who may only look. */
const HARMLESS: readonly Shortcut[] = ['search', 'feed', 'help'];

/** Whether a key is of use to somebody, who may control timers or not. */
export function isFor(shortcut: Shortcut, mayControl: boolean): boolean {
  return mayControl || HARMLESS.includes(shortcut);
}

const MEMORY = 'timer-console.shortcuts';

/** The command of a key; none while somebody writes, or with a key that is the browser's. */
export function shortcutOf(event: KeyboardEvent): Shortcut | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isWriting(event))
    return undefined;
  const found = SHORTCUTS.find(({ keys }) => keys.some((key) => key === event.key));
  if (found === undefined) return undefined;
  // Single letters disturb who controls a computer by voice, so they can be switched off.
  return found.command === 'help' || areShortcutsOn() ? found.command : undefined;
}

export function areShortcutsOn(): boolean {
  return recall(MEMORY) !== 'off';
}

export function switchShortcuts(isOn: boolean): void {
  remember(MEMORY, isOn ? 'on' : 'off');
}

function isWriting(event: KeyboardEvent): boolean {
  const [target] = event.composedPath();
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio'].includes(target.type);
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}
