/** Parses what a request carries, or throws the problem that says every field that is wrong (T12). */
import type { Request } from 'express';
import type { z } from 'zod';
import { type FieldError, Problem } from '../protocol/problems.js';

export function parse<S extends z.ZodType>(
  schema: S,
  value: unknown,
  place: 'body' | 'query',
): z.output<S> {
  if (place === 'body' && value === undefined) {
    const detail = 'The body is missing; send JSON with Content-Type: application/json';
    throw new Problem('invalid_request', detail);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap((issue) => fieldErrors(issue, place));
  const detail = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
  throw new Problem('invalid_request', detail, { errors });
}

export function timerIdOf(request: Request): string {
  return parameterOf(request, 'timer_id');
}

/** A part of the address, which is there if the route has it. */
export function parameterOf({ params }: Request, name: string): string {
  const value = params[name];
  return typeof value === 'string' ? value : '';
}

/** A union that nothing matches is told by what its closest alternative misses. */
function fieldErrors(issue: z.core.$ZodIssue, place: string): FieldError[] {
  if (issue.code === 'invalid_union') {
    const closest = issue.errors.reduce<readonly z.core.$ZodIssue[]>((best, alternative) => {
      const isDeeper = depthOf(alternative) > depthOf(best);
      return best.length === 0 || isDeeper ? alternative : best;
    }, []);
    if (closest.length > 0) {
      const prefix = [place, ...issue.path].join('.');
      return closest.flatMap((inner) => fieldErrors(inner, prefix));
    }
  }
  return [{ field: [place, ...issue.path].join('.'), message: issue.message }];
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(({ path }) => path.length));
}
