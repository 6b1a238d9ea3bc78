/** A command as commander knows it, with what it runs in and writes to. Its subcommands have the same. */
import { Command as BareCommand } from 'commander';
import type { Context } from './context.js';
import { Output } from './output.js';

export class Command extends BareCommand {
  readonly context: Context;
  readonly output: Output;

  constructor(name: string | undefined, context: Context) {
    super(name);
    this.context = context;
    this.output = new Output(context);
  }

  override createCommand(name?: string): Command {
    return new Command(name, this.context);
  }
}
