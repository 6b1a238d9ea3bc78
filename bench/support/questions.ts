/**
 * How the bench talks with the processes it starts: numbered questions and answers over Node's IPC
 * channel. This is the side of the process that is asked.
 */
import { z } from 'zod';

const envelopeSchema = z.object({ id: z.number(), question: z.unknown() });

export const replySchema = z.union([
  z.object({ id: z.number(), error: z.string() }),
  z.object({ id: z.number(), value: z.unknown() }),
]);
export type Reply = z.output<typeof replySchema>;

/**
 * Answers the questions that fit the schema. Others are left alone, since the probe and the program
 * it was loaded into share one channel. A process whose bench has gone ends with it.
 */
export function answerQuestions<Q>(
  schema: z.ZodType<Q>,
  answer: (question: Q) => Promise<unknown> | unknown,
): void {
  process.on('message', (message) => {
    const envelope = envelopeSchema.safeParse(message);
    const question = schema.safeParse(envelope.data?.question);
    if (!envelope.success || !question.success) return;
    const { id } = envelope.data;
    Promise.resolve()
      .then(() => answer(question.data))
      .then((value) => send({ id, value: value ?? null }))
      .catch((error: unknown) => send({ id, error: String(error) }));
  });
  process.on('disconnect', () => process.exit(1));
}

function send(reply: Reply): void {
  process.send?.(reply);
}
