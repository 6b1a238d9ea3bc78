/**
 * Writes a machine as the JSON that Stately's editor imports: its config, where actions, guards, delays
 * and actors are names. It turns a machine into text and touches nothing else.
 */
import type { AnyStateMachine } from 'xstate';

/** Writes the config of a machine as JSON; functions, which JSON has no form for, are left out. */
export function statelyJsonOf(machine: AnyStateMachine): string {
  return `${JSON.stringify(withoutFunctions(machine.config), null, 2)}\n`;
}

function withoutFunctions(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter(isData).map(withoutFunctions);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => isData(member));
  return Object.fromEntries(entries.map(([name, member]) => [name, withoutFunctions(member)]));
}

function isData(value: unknown): boolean {
  return typeof value !== 'function';
}
