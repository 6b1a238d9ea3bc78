/**
 * The keys and tokens that somebody logged in with, one for each origin of a service. They are in one file, which
 * nobody else may read; what others could read or write is not used.
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import type { Context } from './context.js';
import { RefusedError, UnreadableError } from './errors.js';

const OWNER_ENTERS = 0o700;
const OWNER_READS_AND_WRITES = 0o600;
const ANY_OTHER = 0o077;

/** What can stand in a header. */
export const KEY_FORM = /^[\x21-\x7e]+$/;

const keysSchema = z.record(z.string(), z.string().regex(KEY_FORM));
type Keys = z.output<typeof keysSchema>;

export class KeptKeys {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Those of the user whose environment it is; nothing where that names no home. */
  static of({
    XDG_CONFIG_HOME: config = '',
    HOME: home = '',
  }: Context['env']): KeptKeys | undefined {
    // As the XDG Base Directory Specification has it, a folder that is not absolute is ignored.
    const folder = isAbsolute(config) ? config : isAbsolute(home) ? join(home, '.config') : '';
    if (folder === '') return undefined;
    return new KeptKeys(join(folder, 'synchronized-timer', 'credentials.json'));
  }

  /** @throws {UnreadableError} if the file is not as it must be. */
  find(server: string): string | undefined {
    return this.#read()[originOf(server)];
  }

  /** @throws {CommandError} if the file is not as it must be, or cannot be written; then it is as before. */
  keep(server: string, key: string): void {
    this.#write({ ...this.#read(), [originOf(server)]: key });
  }

  /**
   * Gives whether there was one.
   * @throws {CommandError} if the file is not as it must be, or cannot be written; then it is as before.
   */
  forget(server: string): boolean {
    const { [originOf(server)]: key, ...others } = this.#read();
    if (key !== undefined) this.#write(others);
    return key !== undefined;
  }

  #read(): Keys {
    const text = this.#readText();
    if (text === undefined) return {};
    const keys = keysSchema.safeParse(parseJson(text));
    if (keys.success) return keys.data;
    throw new UnreadableError(
      `${this.path} is not as it was written. Remove it, and log in again.`,
    );
  }

  #readText(): string | undefined {
    try {
      const file = openSync(this.path, 'r');
      try {
        this.#refuseOthers(fstatSync(file).mode);
        return readFileSync(file, 'utf8');
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (error instanceof UnreadableError) throw error;
      if (isMissing(error)) return undefined;
      const what = `Cannot read ${this.path} (${reasonOf(error)})`;
      throw new UnreadableError(`${what}. Make it yours to read; or remove it, and log in again.`);
    }
  }

  #refuseOthers(mode: number): void {
    if ((mode & ANY_OTHER) === 0) return;
    throw new UnreadableError(
      `Others of this machine may read or write ${this.path}, so it is not used. Forbid them with chmod 600, and ` +
        'have the keys in it revoked if somebody may have read them.',
    );
  }

  /** Whoever reads meanwhile, or after a crash, finds all of the old or all of the new. */
  #write(keys: Keys): void {
    const folder = dirname(this.path);
    try {
      mkdirSync(folder, { recursive: true, mode: OWNER_ENTERS });
      chmodSync(folder, OWNER_ENTERS);
      replaceFile(this.path, `${JSON.stringify(keys, undefined, 2)}\n`);
    } catch (error) {
      throw new RefusedError(`Cannot write ${this.path}: ${reasonOf(error)}`);
    }
  }
}

function originOf(server: string): string {
  return new URL(server).origin;
}

function replaceFile(path: string, text: string): void {
  const draft = `${path}.${randomUUID()}`;
  try {
    writeDurably(draft, text);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', OWNER_READS_AND_WRITES);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A home that is no folder, such as /dev/null, is one without the file. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^ENO(ENT|TDIR)$/.test(String(error.code));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
