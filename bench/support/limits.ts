/** Whether this machine lets one process have as many connections as a measurement opens. */
import { z } from 'zod';

/** Files, pipes and threads that a process has open beside its connections. */
const OTHER_FILES = 200;

const reportSchema = z.object({
  userLimits: z.object({ open_files: z.object({ hard: z.union([z.number(), z.string()]) }) }),
});

/** Node raises the soft limit to the hard one as it starts, so only the hard one counts. */
function openFilesLimit(): number {
  const report = reportSchema.safeParse(process.report.getReport());
  const hard = report.success ? report.data.userLimits.open_files.hard : 'unlimited';
  return typeof hard === 'number' ? hard : Number.POSITIVE_INFINITY;
}

/** @throws {Error} that says what to do, when a process cannot hold this many connections. */
export function requireOpenFiles(connections: number): void {
  const needed = connections + OTHER_FILES;
  const limit = openFilesLimit();
  if (limit >= needed) return;
  throw new Error(
    `This needs ${needed} open files in one process, and the hard limit is ${limit}. ` +
      `Raise it, for instance with "ulimit -Hn ${needed}" as root, or run with --quick.`,
  );
}
